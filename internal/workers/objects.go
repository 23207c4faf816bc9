package workers

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// maxObjectClasses bounds the Durable Object classes of a script.
const maxObjectClasses = 500

// Namespace is the data of one Durable Object class.
type Namespace struct {
	ID        string // 32 hex digits
	Script    string
	Class     string
	UseSQLite bool
	CreatedAt time.Time
}

// namespaceRow is a namespace as it is stored.
type namespaceRow struct {
	Namespace

	scriptID   string
	folder     string // id of the script below whose folder the data lies
	transferTo string // name of the script that may take it over
}

const namespaceColumns = `n.id, s.name, n.class, n.use_sqlite, n.created_at, n.script_id, n.folder, coalesce(n.transfer_to, '')`

func scanNamespaces(rows *sql.Rows, err error) ([]namespaceRow, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []namespaceRow
	for rows.Next() {
		var n namespaceRow
		var created int64
		if err := rows.Scan(&n.ID, &n.Script, &n.Class, &n.UseSQLite, &created, &n.scriptID, &n.folder, &n.transferTo); err != nil {
			return nil, err
		}
		n.CreatedAt = fromMillis(created)
		out = append(out, n)
	}
	return out, rows.Err()
}

// namespacesOf returns the namespaces of a script, by class.
func (s *Service) namespacesOf(ctx context.Context, scriptID string) ([]namespaceRow, error) {
	rows, err := scanNamespaces(s.db().QueryContext(ctx, `SELECT `+namespaceColumns+` FROM object_namespaces n JOIN scripts s ON s.id = n.script_id WHERE n.script_id = ? ORDER BY n.class`, scriptID))
	if err != nil {
		return nil, internal("read the Durable Object namespaces", err)
	}
	return rows, nil
}

// namespaceOf returns the namespace of a class of a script, nil when there is none.
func (s *Service) namespaceOf(ctx context.Context, sc scope, class string) (*namespaceRow, error) {
	rows, err := scanNamespaces(s.db().QueryContext(ctx, `SELECT `+namespaceColumns+` FROM object_namespaces n JOIN scripts s ON s.id = n.script_id WHERE s.account_id = ? AND s.name = ? AND n.class = ?`, sc.account, sc.script, class))
	if err != nil {
		return nil, internal("read a Durable Object namespace", err)
	}
	if len(rows) == 0 {
		return nil, nil // a class without objects is an ordinary state
	}
	return &rows[0], nil
}

// namespace returns a namespace of an account by its id, nil when there is none.
func (s *Service) namespace(ctx context.Context, account, id string) (*namespaceRow, error) {
	rows, err := scanNamespaces(s.db().QueryContext(ctx, `SELECT `+namespaceColumns+` FROM object_namespaces n JOIN scripts s ON s.id = n.script_id WHERE n.account_id = ? AND n.id = ?`, account, id))
	if err != nil {
		return nil, internal("read a Durable Object namespace", err)
	}
	if len(rows) == 0 {
		return nil, nil // as above
	}
	return &rows[0], nil
}

// ObjectNamespace returns a Durable Object namespace by its id. The error is
// CodeObjectNamespaceMissing when there is none.
func (s *Service) ObjectNamespace(ctx context.Context, account, id string) (Namespace, error) {
	n, err := s.namespace(ctx, account, id)
	if err != nil {
		return Namespace{}, err
	}
	if n == nil {
		return Namespace{}, fail(CodeObjectNamespaceMissing, 404, "There is no Durable Object namespace %s on your account.", clip(id))
	}
	return n.Namespace, nil
}

// NameObjects makes an upload's bindings to Durable Objects that give the id of a
// namespace, as those of sites may, give the script and the class.
func (s *Service) NameObjects(ctx context.Context, account string, u *Upload) error {
	for i, raw := range u.Bindings {
		var b map[string]any
		if json.Unmarshal(raw, &b) != nil || b["type"] != typeDurableObject {
			continue // what is wrong with it is said when it is resolved
		}
		id, ok := b["namespace_id"].(string)
		if !ok || b["class_name"] != nil && b["class_name"] != "" {
			continue
		}
		n, err := s.ObjectNamespace(ctx, account, id)
		if err != nil {
			return err
		}
		delete(b, "namespace_id")
		b["class_name"], b["script_name"] = n.Class, n.Script
		if u.Bindings[i], err = json.Marshal(b); err != nil {
			return internal("name a Durable Object namespace", err)
		}
	}
	return nil
}

// ObjectNamespaces lists the Durable Object namespaces of an account, oldest
// first, at most limit of them after skipping offset, and how many there are.
func (s *Service) ObjectNamespaces(ctx context.Context, account string, offset, limit int) (page []Namespace, total int, err error) {
	rows, err := scanNamespaces(s.db().QueryContext(ctx, `SELECT `+namespaceColumns+` FROM object_namespaces n JOIN scripts s ON s.id = n.script_id WHERE n.account_id = ? ORDER BY n.created_at, n.id LIMIT ? OFFSET ?`, account, limit, offset))
	if err != nil {
		return nil, 0, internal("list the Durable Object namespaces", err)
	}
	if err := s.db().QueryRowContext(ctx, `SELECT count(*) FROM object_namespaces WHERE account_id = ?`, account).Scan(&total); err != nil {
		return nil, 0, internal("count the Durable Object namespaces", err)
	}
	for i := range rows {
		page = append(page, rows[i].Namespace)
	}
	return page, total, nil
}

// Objects lists the ids of the objects of a namespace that have data, in their
// order, at most limit of them after the one named by after, and whether there
// are more. The error is CodeObjectNamespaceMissing when there is no such
// namespace.
func (s *Service) Objects(ctx context.Context, account, id, after string, limit int) (ids []string, more bool, err error) {
	n, err := s.namespace(ctx, account, id)
	if err != nil {
		return nil, false, err
	}
	if n == nil {
		return nil, false, fail(CodeObjectNamespaceMissing, 404, "There is no Durable Object namespace %s on your account.", clip(id))
	}
	entries, err := os.ReadDir(filepath.Join(s.o.ObjectsDir, n.folder, n.ID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, internal("list the objects", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".sqlite")
		if ok && len(name) == objectIDLen && isLowerHex(name) && name > after {
			ids = append(ids, name)
		}
	}
	slices.Sort(ids)
	if len(ids) > limit {
		return ids[:limit], true, nil
	}
	return ids, false, nil
}

// objectReferences returns the names of the other scripts whose deployed
// versions have a binding to a Durable Object class of the script.
func (s *Service) objectReferences(ctx context.Context, sc scope) ([]string, error) {
	names, err := column(s.db().QueryContext(ctx, `SELECT DISTINCT other.name
		FROM scripts own JOIN object_namespaces n ON n.script_id = own.id
		JOIN object_bindings b ON b.namespace_id = n.id
		JOIN versions v ON v.id = b.version_id JOIN scripts other ON other.id = v.script_id
		JOIN deployments d ON d.script_id = other.id AND d.sequence = (SELECT max(sequence) FROM deployments WHERE script_id = other.id)
		JOIN json_each(d.document, '$.versions') served ON served.value ->> '$.version_id' = v.id
		WHERE own.account_id = ? AND own.name = ? AND other.id <> own.id ORDER BY other.name`, sc.account, sc.script))
	if err != nil {
		return nil, internal("find who binds the Durable Objects", err)
	}
	return names, nil
}

// objectIDLen is the number of hex digits of an object's id.
const objectIDLen = 64

// objectClasses is what a process is told of namespaces of its own script.
func objectClasses(rows []namespaceRow) []workerd.ObjectClass {
	out := make([]workerd.ObjectClass, 0, len(rows))
	for i := range rows {
		out = append(out, workerd.ObjectClass{Class: rows[i].Class, Key: rows[i].ID, SQL: rows[i].UseSQLite})
	}
	return out
}
