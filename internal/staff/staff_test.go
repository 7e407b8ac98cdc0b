package staff_test

import (
	"context"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/store"
)

func TestEveryPermissionIsGrantedToSomeRoleAndNoRoleHoldsAll(t *testing.T) {
	for _, p := range staff.Permissions {
		if !staff.Can(staff.Roles, p) {
			t.Errorf("%s is granted to nobody", p)
		}
		if staff.Can(nil, p) || staff.Can([]staff.Role{"janitor"}, p) {
			t.Errorf("%s is granted without a role", p)
		}
	}
	for _, r := range staff.Roles {
		all := true
		for _, p := range staff.Permissions {
			all = all && staff.Can([]staff.Role{r}, p)
		}
		if all {
			t.Errorf("%s holds every permission", r)
		}
	}
}

func TestRolesKeepToTheirJob(t *testing.T) {
	for _, c := range []struct {
		role staff.Role
		may  staff.Permission
		not  staff.Permission
	}{
		{staff.Administrator, staff.StaffChange, staff.PeopleView},
		{staff.Officer, staff.LedgerExport, staff.MessagesSend},
		{staff.Marketer, staff.SegmentsChange, staff.PeopleView},
		{staff.Clinician, staff.PeopleView, staff.StaffChange},
		{staff.Developer, staff.ImportsRun, staff.PeopleView},
		{staff.Auditor, staff.LedgerView, staff.OrganisationChange},
	} {
		if !staff.Can([]staff.Role{c.role}, c.may) || staff.Can([]staff.Role{c.role}, c.not) {
			t.Errorf("%s: may %s, may not %s", c.role, c.may, c.not)
		}
	}
}

func TestUsers(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		keys, led := caretest.Ground(t, st)
		s := staff.New(keys, led)
		write := func(org id.Organisation, fn func(ctx context.Context, tx *store.Tx) error) error {
			return st.Write(t.Context(), id.Scope{Organisation: org, Actor: id.Operator(1)}, fn)
		}
		var ann staff.User
		must(t, write(1, func(ctx context.Context, tx *store.Tx) (err error) {
			ann, err = s.Add(ctx, tx, "Ann@Clinic.example", "Ann", []staff.Role{staff.Administrator})
			return err
		}))
		for name, c := range map[string]struct {
			org  id.Organisation
			do   func(ctx context.Context, tx *store.Tx) error
			code fault.Code
		}{
			"the same email in another organisation": {2, func(ctx context.Context, tx *store.Tx) error {
				_, err := s.Add(ctx, tx, "ann@clinic.example", "Ann", nil)
				return err
			}, fault.Conflict},
			"an address that is none": {1, func(ctx context.Context, tx *store.Tx) error {
				_, err := s.Add(ctx, tx, "a@b\r\nc", "Ann", nil)
				return err
			}, fault.Invalid},
			"an unknown role":        {1, func(ctx context.Context, tx *store.Tx) error { return s.Grant(ctx, tx, ann.ID, "janitor") }, fault.Invalid},
			"another organisation's": {2, func(ctx context.Context, tx *store.Tx) error { return s.Grant(ctx, tx, ann.ID, staff.Auditor) }, fault.NotFound},
			"the last administrator": {1, func(ctx context.Context, tx *store.Tx) error { return s.Revoke(ctx, tx, ann.ID, staff.Administrator) }, fault.Conflict},
			"the end of the last":    {1, func(ctx context.Context, tx *store.Tx) error { return s.End(ctx, tx, ann.ID) }, fault.Conflict},
		} {
			if err := write(c.org, c.do); !fault.Is(err, c.code) {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		must(t, write(1, func(ctx context.Context, tx *store.Tx) error {
			if _, err := s.Add(ctx, tx, "bo@clinic.example", "Bo", []staff.Role{staff.Administrator}); err != nil {
				return err
			}
			return s.End(ctx, tx, ann.ID)
		}))
		must(t, st.Read(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
			u, err := s.Get(ctx, tx, ann.ID)
			if err != nil {
				return err
			}
			if u.Can(staff.StaffChange) || u.Name != "Ann" || u.Email != "ann@clinic.example" {
				t.Errorf("after the end: %+v", u.Roles)
			}
			return nil
		}))
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
