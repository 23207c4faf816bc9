package d1

import (
	"context"
	"database/sql"
	"fmt"
)

// Changes to a database; nil fields stay as they are.
type Changes struct {
	ReadReplication *ReadReplication
}

// Update changes a database and returns it as it is then.
func (s *Service) Update(ctx context.Context, account, ref string, c Changes) (Info, error) {
	info, err := s.Get(ctx, account, ref)
	if err != nil || c.ReadReplication == nil {
		return info, err
	}
	switch *c.ReadReplication {
	case ReplicationAuto, ReplicationDisabled:
	default:
		return Info{}, fail(CodeInvalid, "The read replication mode %q is not one; use \"auto\" or \"disabled\".", clip(string(*c.ReadReplication)))
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE d1_databases SET read_replication = ? WHERE id = ?`, *c.ReadReplication, info.ID)
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("d1: change %s: %w", info.Name, err)
	}
	info.ReadReplication = *c.ReadReplication
	return info, nil
}
