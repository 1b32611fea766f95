package guest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/console"
)

func TestTheConsoleReachesLogAndClientOverBoots(t *testing.T) {
	folder := t.TempDir()
	log, socket := filepath.Join(folder, "log"), filepath.Join(folder, "socket")
	c, err := openConsole(log, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	client, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, line := range []string{"first boot", "second boot"} {
		master, name, err := console.NewPty()
		if err != nil {
			t.Fatal(err)
		}
		held, err := c.attach(master)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // a guest opens and closes its console again and again
			if err := os.WriteFile(name, []byte(line+"\n"), 0); err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, func() bool { content, _ := os.ReadFile(log); return strings.Count(string(content), line) == 2 })
		held.Close()
	}
	seen := make([]byte, 64)
	_ = client.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := client.Read(seen); err != nil || !strings.Contains(string(seen[:n]), "boot") {
		t.Errorf("the client read %q, %v", seen[:n], err)
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("it did not come true in 5 s")
}
