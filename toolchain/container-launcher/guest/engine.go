package guest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/go-runc"
)

// What crun exits with when init has ended the namespace by reboot(2): 128 and the signal that the kernel chooses for it.
const (
	statusRebooted   = 128 + int(syscall.SIGHUP)
	statusPoweredOff = 128 + int(syscall.SIGINT)
)

const startPatience = 60 * time.Second

// run starts crun and waits until init's number is known.
func (m *Machine) run(this *boot) error {
	socket, err := runc.NewTempConsoleSocket()
	if err != nil {
		return err
	}
	defer socket.Close()
	pidFile, log := m.file("pid"), m.file("crun.log")
	_ = os.Remove(pidFile)
	engine := &runc.Runc{
		Command: "crun", Root: m.file("crun"), Log: log, PdeathSignal: syscall.SIGKILL, ExtraArgs: []string{"--cgroup-manager=cgroupfs"},
	}
	// A guest that was killed leaves its record.
	_ = engine.Delete(context.Background(), m.spec.Name, &runc.DeleteOpts{Force: true})
	go func() {
		status, err := engine.Run(context.Background(), m.spec.Name, m.spec.Work, &runc.CreateOpts{PidFile: pidFile, ConsoleSocket: socket})
		if err != nil {
			m.say("crun: %v", err)
		}
		this.status <- status
	}()
	terminal := make(chan error, 1)
	go func() {
		master, err := socket.ReceiveMaster()
		if err == nil {
			this.console, err = m.console.attach(master)
		}
		terminal <- err
	}()
	select {
	case err := <-terminal:
		if err == nil {
			return m.readPid(pidFile)
		}
		// A crun that fails closes the socket before it ends.
		select {
		case status := <-this.status:
			return m.explain(status, log)
		case <-time.After(startPatience):
			return fmt.Errorf("terminal of %s: %w", m.spec.Name, err)
		}
	case status := <-this.status:
		return m.explain(status, log)
	case <-time.After(startPatience):
		return fmt.Errorf("crun did not start %s in %s", m.spec.Name, startPatience)
	}
}

func (m *Machine) explain(status int, log string) error {
	said, _ := os.ReadFile(log)
	return fmt.Errorf("crun did not start %s: status %d: %s", m.spec.Name, status, strings.TrimSpace(string(said)))
}

// readPid waits for the file that crun writes once it has started init.
func (m *Machine) readPid(file string) error {
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil || len(text) == 0 {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.pid = pid
		m.mu.Unlock()
		return nil
	}
	return fmt.Errorf("crun did not tell the process of %s in %s", m.spec.Name, startPatience)
}

func endOf(status int) End {
	switch status {
	case statusPoweredOff:
		return PoweredOff
	case statusRebooted:
		return Rebooted
	}
	return Crashed
}
