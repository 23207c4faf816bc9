package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	// Bound of what is read of a container's passwd and group, in bytes.
	maxUsers = 1 << 20
	maxGroup = 64    // supplementary groups
	maxID    = 65535 // the last id of the user namespace
)

// identity is whom a process runs as.
type identity struct {
	UID    int   `json:"uid"`
	GID    int   `json:"gid"`
	Groups []int `json:"additionalGids,omitempty"`
}

// String is the form that runc takes.
func (i identity) String() string { return strconv.Itoa(i.UID) + ":" + strconv.Itoa(i.GID) }

// withUser puts the user into process.user of a config.
func withUser(config json.RawMessage, rootfs, user string) ([]byte, error) {
	who, err := lookup(rootfs, user)
	if err != nil {
		return nil, err
	}
	var all, process map[string]json.RawMessage
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(all["process"], &process); err != nil {
		return nil, err
	}
	if process["user"], err = json.Marshal(who); err != nil {
		return nil, err
	}
	if all["process"], err = json.Marshal(process); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// lookup finds the user of an image's configuration: "name", "id", with ":group" or
// ":id" behind it.
func lookup(rootfs, user string) (identity, error) {
	if user == "" {
		return identity{}, nil
	}
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return identity{}, err
	}
	defer func() { _ = root.Close() }()
	name, group, hasGroup := strings.Cut(user, ":")
	who, account, err := userNamed(root, name)
	if err != nil {
		return identity{}, err
	}
	if hasGroup {
		who.GID, err = groupNamed(root, group)
		return who, err
	}
	if account != "" {
		who.Groups, err = groupsOf(root, account)
	}
	return who, err
}

func userNamed(root *os.Root, name string) (who identity, account string, err error) {
	id, numeric := number(name)
	found := false
	err = eachLine(root, "etc/passwd", func(f []string) bool {
		if len(f) < 4 || f[0] != name && (!numeric || f[2] != name) {
			return true
		}
		uid, ok := number(f[2])
		gid, ok2 := number(f[3])
		if !ok || !ok2 {
			return true
		}
		who, account, found = identity{UID: uid, GID: gid}, f[0], true
		return false
	})
	switch {
	case err != nil || found:
		return who, account, err
	case numeric:
		return identity{UID: id}, "", nil
	}
	return who, "", &StartError{Text: fmt.Sprintf("the image has no user %.100q in its /etc/passwd", name)}
}

func groupNamed(root *os.Root, name string) (int, error) {
	if id, ok := number(name); ok {
		return id, nil
	}
	out := -1
	err := eachLine(root, "etc/group", func(f []string) bool {
		if len(f) < 3 || f[0] != name {
			return true
		}
		id, ok := number(f[2])
		if ok {
			out = id
		}
		return !ok
	})
	if err == nil && out < 0 {
		err = &StartError{Text: fmt.Sprintf("the image has no group %.100q in its /etc/group", name)}
	}
	return out, err
}

func groupsOf(root *os.Root, account string) ([]int, error) {
	var out []int
	err := eachLine(root, "etc/group", func(f []string) bool {
		if len(f) < 4 || !slices.Contains(strings.Split(f[3], ","), account) {
			return true
		}
		if id, ok := number(f[2]); ok {
			out = append(out, id)
		}
		return len(out) < maxGroup
	})
	return out, err
}

func number(s string) (int, bool) {
	id, err := strconv.Atoi(s)
	return id, err == nil && id >= 0 && id <= maxID
}

// eachLine calls do with the fields of each line until it returns false. A file that
// is not there has no lines.
func eachLine(root *os.Root, path string, do func(fields []string) bool) error {
	info, err := root.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return &StartError{Text: "the image's /" + path + " is no file"}
	}
	f, err := root.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(io.LimitReader(f, maxUsers))
	for lines.Scan() {
		if !do(strings.Split(lines.Text(), ":")) {
			return nil
		}
	}
	return nil
}
