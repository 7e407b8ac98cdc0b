package api

import (
	"context"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/store"
)

// User is a member of the staff as the face shows it.
type User struct {
	ID      string     `json:"id"`
	Email   string     `json:"email"`
	Name    string     `json:"name"`
	Active  bool       `json:"active"`
	Roles   []string   `json:"roles"`
	MadeAt  time.Time  `json:"made_at"`
	EndedAt *time.Time `json:"ended_at,omitempty"`
}

type listUsersInput struct{ Place }

type listUsersOutput struct {
	Body struct {
		Users []User `json:"users"`
	}
}

func (f *Face) listUsers(ctx context.Context, in *listUsersInput) (*listUsersOutput, error) {
	out := &listUsersOutput{}
	out.Body.Users = []User{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		users, err := f.Staff.List(ctx, tx)
		for _, u := range users {
			out.Body.Users = append(out.Body.Users, userOf(u))
		}
		return err
	})
}

func userOf(u staff.User) User {
	out := User{ID: u.ID.String(), Email: u.Email, Name: u.Name, Active: u.State == staff.Active, MadeAt: u.MadeAt, Roles: []string{}}
	for _, r := range u.Roles {
		out.Roles = append(out.Roles, string(r))
	}
	if !u.EndedAt.IsZero() {
		out.EndedAt = &u.EndedAt
	}
	return out
}

type createUserInput struct {
	Place
	Body struct {
		Email string   `json:"email" maxLength:"254"`
		Name  string   `json:"name" maxLength:"200"`
		Roles []string `json:"roles" maxItems:"10"`
	}
}

type userOutput struct{ Body User }

func (f *Face) createUser(ctx context.Context, in *createUserInput) (*userOutput, error) {
	var roles []staff.Role
	for _, text := range in.Body.Roles {
		r, err := staff.ParseRole(text)
		if err != nil {
			return nil, err
		}
		roles = append(roles, r)
	}
	out := &userOutput{}
	return out, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		u, err := f.Staff.Add(ctx, tx, in.Body.Email, in.Body.Name, roles)
		out.Body = userOf(u)
		return err
	})
}

type roleInput struct {
	Place
	ID   string `path:"id"`
	Role string `path:"role"`
}

type emptyOutput struct{}

func (f *Face) grantRole(ctx context.Context, in *roleInput) (*emptyOutput, error) {
	return f.changeRole(ctx, in, f.Staff.Grant)
}

func (f *Face) revokeRole(ctx context.Context, in *roleInput) (*emptyOutput, error) {
	return f.changeRole(ctx, in, f.Staff.Revoke)
}

func (f *Face) changeRole(ctx context.Context, in *roleInput, do func(context.Context, *store.Tx, id.User, staff.Role) error) (*emptyOutput, error) {
	user, err := id.Parse[id.User](in.ID)
	if err != nil {
		return nil, err
	}
	r, err := staff.ParseRole(in.Role)
	if err != nil {
		return nil, err
	}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error { return do(ctx, tx, user, r) })
}

type userInput struct {
	Place
	ID string `path:"id"`
}

func (f *Face) endUser(ctx context.Context, in *userInput) (*emptyOutput, error) {
	user, err := id.Parse[id.User](in.ID)
	if err != nil {
		return nil, err
	}
	return &emptyOutput{}, f.write(ctx, in, func(ctx context.Context, tx *store.Tx) error { return f.Staff.End(ctx, tx, user) })
}
