package supervise

import (
	"bytes"
	"os"
	"strconv"
)

// tree reads proc_pid_stat(5) of all processes for their parents, and
// proc_pid_status(5) of those that belong to root.
func tree(root int) (TreeUsage, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return TreeUsage{}, err
	}
	children := make(map[int][]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	var u TreeUsage
	todo := []int{root}
	seen := map[int]bool{root: true}
	for len(todo) > 0 {
		pid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		u.add(pid)
		for _, c := range children[pid] {
			if !seen[c] {
				seen[c] = true
				todo = append(todo, c)
			}
		}
	}
	return u, nil
}

func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false // it is gone
	}
	// The name, in parentheses, may hold anything.
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, false
	}
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}

// add counts one process. One that is gone meanwhile counts for nothing.
func (u *TreeUsage) add(pid int) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return
	}
	u.Processes++
	for line := range bytes.Lines(status) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		value, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			continue
		}
		switch string(name) {
		case "RssAnon", "RssShmem":
			u.Anon += value << 10
		case "Threads":
			u.Threads += int(value)
		}
	}
}
