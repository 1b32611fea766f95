package guest

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

const (
	consoleChunk = 4096
	// A client that does not read must not hold the guest up.
	clientPatience = time.Second
)

// serialConsole passes the guest's console to a log and to the clients of a socket, over all boots of the guest.
type serialConsole struct {
	log      *os.File
	listener net.Listener
	mu       sync.Mutex
	clients  map[net.Conn]struct{}
	terminal console.Console
}

func openConsole(logFile, socket string) (*serialConsole, error) {
	c := &serialConsole{clients: map[net.Conn]struct{}{}}
	if logFile != "" {
		log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		c.log = log
	}
	if socket != "" {
		_ = os.Remove(socket)
		listener, err := net.Listen("unix", socket)
		if err != nil {
			return nil, err
		}
		c.listener = listener
		go c.serve()
	}
	return c, nil
}

// attach takes the terminal of a new boot; the returned file has to be closed when the boot has ended.
//
// The guest closes its side at times, and reading would fail then: so this side is held open as well.
func (c *serialConsole) attach(terminal console.Console) (io.Closer, error) {
	held, _, errno := unix.Syscall(unix.SYS_IOCTL, terminal.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, fmt.Errorf("open the guest's side of the console: %w", errno)
	}
	c.mu.Lock()
	c.terminal = terminal
	c.mu.Unlock()
	go c.pass(terminal)
	return os.NewFile(held, "console"), nil
}

// pass reads until nobody has the guest's side open.
func (c *serialConsole) pass(terminal console.Console) {
	defer terminal.Close()
	buffer := make([]byte, consoleChunk)
	for {
		n, err := terminal.Read(buffer)
		c.write(buffer[:n])
		if err != nil {
			return
		}
	}
}

func (c *serialConsole) write(text []byte) {
	if c.log != nil {
		_, _ = c.log.Write(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for client := range c.clients {
		_ = client.SetWriteDeadline(time.Now().Add(clientPatience))
		if _, err := client.Write(text); err != nil {
			client.Close()
			delete(c.clients, client)
		}
	}
}

func (c *serialConsole) serve() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.clients[client] = struct{}{}
		c.mu.Unlock()
		go c.listen(client)
	}
}

// listen passes what a client types to the terminal of the boot of that moment.
func (c *serialConsole) listen(client net.Conn) {
	buffer := make([]byte, consoleChunk)
	for {
		n, err := client.Read(buffer)
		c.mu.Lock()
		terminal := c.terminal
		if err != nil {
			delete(c.clients, client)
		}
		c.mu.Unlock()
		if terminal != nil && n > 0 {
			_, _ = terminal.Write(buffer[:n])
		}
		if err != nil {
			client.Close()
			return
		}
	}
}

func (c *serialConsole) close() {
	for _, part := range []io.Closer{c.listener, c.log} {
		if part != nil {
			_ = part.Close()
		}
	}
}
