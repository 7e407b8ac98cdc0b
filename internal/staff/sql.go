package staff

import (
	"context"
	"fmt"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

const (
	insertUser = `INSERT INTO staff_user (organisation_id, id, email, state, name, made_at, ended_at)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (email) DO NOTHING`
	endUser     = `UPDATE staff_user SET state = ?, ended_at = ? WHERE organisation_id = ? AND id = ? AND state = ?`
	lockUsers   = `UPDATE staff_user SET state = state WHERE organisation_id = ?`
	selectUsers = `SELECT id, email, state, name, made_at, ended_at FROM staff_user WHERE organisation_id = ? ORDER BY id`
	insertGrant = `INSERT INTO staff_grant (organisation_id, user_id, role, granted_at, granted_by)
VALUES (?, ?, ?, ?, ?) ON CONFLICT (organisation_id, user_id, role) DO NOTHING`
	deleteGrant  = `DELETE FROM staff_grant WHERE organisation_id = ? AND user_id = ? AND role = ?`
	selectGrants = `SELECT user_id, role FROM staff_grant WHERE organisation_id = ? ORDER BY user_id, role`
)

func usersOf(ctx context.Context, tx *store.Tx) (users []User, names [][]byte, err error) {
	rows, err := tx.Query(ctx, selectUsers, tx.Organisation())
	if err != nil {
		return nil, nil, fmt.Errorf("list users: %w", err)
	}
	defer rows.Close() //nolint:errcheck // it was only read; rows.Err says what went wrong
	for rows.Next() {
		var u User
		var name []byte
		var made, ended int64
		if err := rows.Scan(&u.ID, &u.Email, &u.State, &name, &made, &ended); err != nil {
			return nil, nil, fmt.Errorf("list users: %w", err)
		}
		u.MadeAt, u.EndedAt = store.Time(made), store.Time(ended)
		users, names = append(users, u), append(names, name)
	}
	return users, names, rows.Err()
}

func grantsOf(ctx context.Context, tx *store.Tx) (map[id.User][]Role, error) {
	rows, err := tx.Query(ctx, selectGrants, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	defer rows.Close() //nolint:errcheck // it was only read; rows.Err says what went wrong
	roles := map[id.User][]Role{}
	for rows.Next() {
		var u id.User
		var r string
		if err := rows.Scan(&u, &r); err != nil {
			return nil, fmt.Errorf("list grants: %w", err)
		}
		roles[u] = append(roles[u], Role(r))
	}
	return roles, rows.Err()
}
