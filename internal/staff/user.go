// Package staff owns the people who work with the product: users, their roles, and which permission a role grants.
//
// It never knows routes, sessions of a browser or patients. Every change is one transaction with its ledger entry (45 CFR
// 164.308(a)(3), (a)(4)). Read permission.go and role.go first; user.go and sql.go keep who holds which role.
package staff

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// State is a user's state. The numbers are stored: append only.
type State int

// The states of a user.
const (
	Active State = 1
	Ended  State = 2 // left: no role counts any more
)

// User is a member of the staff.
type User struct {
	ID      id.User
	Email   string
	Name    string
	State   State
	Roles   []Role
	MadeAt  time.Time
	EndedAt time.Time
}

// Can tells whether the user may, now.
func (u User) Can(p Permission) bool { return u.State == Active && Can(u.Roles, p) }

// Staff keeps the users.
type Staff struct {
	keys   *seal.Keys
	ledger *ledger.Ledger
}

// New makes the keeper of users.
func New(keys *seal.Keys, led *ledger.Ledger) *Staff { return &Staff{keys, led} }

// Add makes a user with roles. The email is unique in the installation.
func (s *Staff) Add(ctx context.Context, tx *store.Tx, email, name string, roles []Role) (User, error) {
	address, err := mail.ParseAddress(strings.TrimSpace(email))
	if err != nil || address.Name != "" {
		return User{}, fault.New(fault.Invalid, "not an email address").At("email").Hint("write it as name@example.org")
	}
	if strings.TrimSpace(name) == "" {
		return User{}, fault.New(fault.Invalid, "a user needs a name").At("name")
	}
	u := User{ID: id.New[id.User](), Email: strings.ToLower(address.Address), Name: strings.TrimSpace(name), State: Active, MadeAt: tx.Now}
	sealed, err := s.keys.Seal(ctx, tx, seal.PurposeSetting, nameCell(u.ID), []byte(u.Name))
	if err != nil {
		return User{}, fmt.Errorf("seal the name of user %s: %w", u.ID, err)
	}
	n, err := tx.Exec(ctx, insertUser, tx.Organisation(), u.ID, u.Email, u.State, sealed, store.Millis(tx.Now), 0)
	if err != nil {
		return User{}, fmt.Errorf("add user %s: %w", u.ID, err)
	}
	if n == 0 {
		return User{}, fault.New(fault.Conflict, "a user with this email exists").At("email").Hint("grant the role to that user")
	}
	if err := s.entry(ctx, tx, u.ID, ledger.Detail{"change": "added"}); err != nil {
		return User{}, err
	}
	for _, r := range roles {
		if err := s.Grant(ctx, tx, u.ID, r); err != nil {
			return User{}, err
		}
	}
	u.Roles = roles
	return u, nil
}

// Grant gives a user a role; a role held already stays as it was.
func (s *Staff) Grant(ctx context.Context, tx *store.Tx, user id.User, r Role) error {
	if _, err := ParseRole(string(r)); err != nil {
		return err
	}
	u, err := s.Get(ctx, tx, user)
	if err != nil {
		return err
	}
	if u.State != Active {
		return fault.New(fault.Conflict, "the user has ended").At("%s", user).Hint("make a new user")
	}
	n, err := tx.Exec(ctx, insertGrant, tx.Organisation(), user, string(r), store.Millis(tx.Now), tx.Scope.Actor.ID)
	if err != nil {
		return fmt.Errorf("grant a role to user %s: %w", user, err)
	}
	if n == 0 {
		return nil
	}
	return s.entry(ctx, tx, user, ledger.Detail{"change": "granted", "role": string(r)})
}

// Revoke takes a role away. The last administrator keeps the role: nobody could give it back.
func (s *Staff) Revoke(ctx context.Context, tx *store.Tx, user id.User, r Role) error {
	if err := s.keepOneAdministrator(ctx, tx, user, r); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, deleteGrant, tx.Organisation(), user, string(r))
	if err != nil {
		return fmt.Errorf("revoke a role of user %s: %w", user, err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "the user does not hold this role")
	}
	return s.entry(ctx, tx, user, ledger.Detail{"change": "revoked", "role": string(r)})
}

// End ends a user: 45 CFR 164.308(a)(3)(ii)(C), in one act.
func (s *Staff) End(ctx context.Context, tx *store.Tx, user id.User) error {
	if err := s.keepOneAdministrator(ctx, tx, user, Administrator); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, endUser, Ended, store.Millis(tx.Now), tx.Organisation(), user, Active)
	if err != nil {
		return fmt.Errorf("end user %s: %w", user, err)
	}
	if n == 0 {
		return errNoUser()
	}
	return s.entry(ctx, tx, user, ledger.Detail{"change": "ended"})
}

func (s *Staff) keepOneAdministrator(ctx context.Context, tx *store.Tx, user id.User, r Role) error {
	if r != Administrator {
		return nil
	}
	// Two who take the role from each other at once must not both succeed.
	if _, err := tx.Exec(ctx, lockUsers, tx.Organisation()); err != nil {
		return fmt.Errorf("look at the administrators: %w", err)
	}
	users, err := s.List(ctx, tx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.ID != user && u.State == Active && slices.Contains(u.Roles, Administrator) {
			return nil
		}
	}
	for _, u := range users {
		if u.ID == user && u.State == Active && slices.Contains(u.Roles, Administrator) {
			return fault.New(fault.Conflict, "this is the last administrator").Hint("make another administrator first")
		}
	}
	return nil
}

// Get gives one user.
func (s *Staff) Get(ctx context.Context, tx *store.Tx, user id.User) (User, error) {
	users, err := s.List(ctx, tx)
	if err != nil {
		return User{}, err
	}
	for _, u := range users {
		if u.ID == user {
			return u, nil
		}
	}
	return User{}, errNoUser()
}

// List gives the organisation's users with their roles, the oldest first.
func (s *Staff) List(ctx context.Context, tx *store.Tx) ([]User, error) {
	roles, err := grantsOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	users, names, err := usersOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	for i := range users {
		name, err := s.keys.Open(ctx, tx, nameCell(users[i].ID), names[i])
		if err != nil {
			return nil, fmt.Errorf("open the name of user %s: %w", users[i].ID, err)
		}
		users[i].Name, users[i].Roles = string(name), roles[users[i].ID]
	}
	return users, nil
}

func (s *Staff) entry(ctx context.Context, tx *store.Tx, user id.User, d ledger.Detail) error {
	key, err := s.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return fmt.Errorf("key for a ledger entry: %w", err)
	}
	return s.ledger.Append(ctx, tx, ledger.Entry{Act: ledger.ActStaff, Object: user.UUID(), Detail: d}, key)
}

func errNoUser() error { return fault.New(fault.NotFound, "no such user") }

func nameCell(u id.User) seal.Cell { return seal.Cell{Table: "staff_user", Column: "name", Row: u[:]} }
