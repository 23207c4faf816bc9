package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestGitLiveLog reads the terminal that pushes while the build runs, and ends the build from elsewhere.
func TestGitLiveLog(t *testing.T) {
	t.Parallel()
	p := start(t, "--builds-timeout", "60s")
	c := p.site(t, "live", map[string]any{"build_command": `echo "begun, nice $(nice), seconds of processor $(ulimit -t)"; while :; do sleep 0.1; done`, "destination_dir": "dist"}, map[string]string{"x": ""})
	cmd := exec.CommandContext(t.Context(), "git", "push", "origin", "main")
	cmd.Dir, cmd.Env = c.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir}
	terminal, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, watchdog := bufio.NewScanner(terminal), time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	var said strings.Builder
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if !strings.Contains(lines.Text(), "remote: begun, nice") {
			continue
		}
		all := c.builds(t)
		if len(all) != 1 || all[0].Status != "running" {
			t.Errorf("the line came when the build was %+v", all)
		}
		if !strings.Contains(lines.Text(), "nice 10, seconds of processor 240") { // 4 x builds.timeout
			t.Errorf("the build has other bounds: %s", lines.Text())
		}
		if a := p.api(t, http.MethodPost, "/selvage/pages/live/builds/"+all[0].ID+"/cancel", nil); a.Status != http.StatusOK {
			t.Errorf("cancel: %d %s", a.Status, a.Body)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("git push: %v", err) // what was pushed is there
	}
	wantAll(t, said.String(), "remote: begun, nice", "Canceled")
}
