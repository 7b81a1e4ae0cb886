package sdk_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
)

const thing = "sdk-thing"

// patience is how long a run may take.
const patience = 3 * time.Minute

// The device has the policies of any, the application all of them.
const configuration = `config_version: 1
gateway: {thing: gw-sdk}
store: {path: %s}
broker:
  listeners:
    - {address: "127.0.0.1:%s", tls: auto, auth: [certificate]}
    - {address: "127.0.0.1:%s", tls: auto, protocol: http, auth: [certificate, sigv4]}
    - {address: "127.0.0.1:%s", tls: auto, protocol: ws, auth: [sigv4]}
access:
  principals:
    - {certificate: "*", policies: [own-thing]}
    - {certificate: sdk-app, policies: [all]}
`

func TestSDK(t *testing.T) {
	node := mustHaveClients(t)
	env := mustStart(t)
	for _, script := range []string{"v1.js", "v2.js", "v3.js"} {
		t.Run(script, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			run := exec.CommandContext(ctx, node, script)
			run.Env = append(os.Environ(), env...)
			out, err := run.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
			if !bytes.Contains(out, []byte("ok ")) {
				t.Error("no step was done")
			}
		})
	}
}

// mustHaveClients returns node, or skips.
func mustHaveClients(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node and npm (apt install nodejs npm)")
	}
	for _, name := range []string{"aws-iot-device-sdk", "aws-iot-device-sdk-v2", "@aws-sdk/client-iot-data-plane"} {
		if _, err := os.Stat(filepath.Join("node_modules", name)); err != nil {
			t.Skipf("needs the npm packages of test/sdk: run npm ci there (%v)", err)
		}
	}
	return node
}

// mustStart builds and starts the daemon with a device enrolled, and returns
// what the runs must know.
func mustStart(t *testing.T) (env []string) {
	t.Helper()
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	binary := path("edgeshadow")
	if out, err := exec.Command("go", "build", "-o", binary, "edgeshadow/cmd/edgeshadow").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ca, err := access.OpenCA(filepath.Join(folder, "data", "pki"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{thing, "sdk-app"} {
		certificate, key, err := ca.Enroll(name)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".crt", certificate)
		write(name+".key", key)
	}
	write("ca.crt", ca.PEM())
	signer := mustCreateKey(t, path("data"))
	mqtts, https, wss := mustFree(t), mustFree(t), mustFree(t)
	write("edgeshadow.yaml", fmt.Appendf(nil, configuration, path("data"), mqtts, https, wss))

	var log bytes.Buffer
	daemon := exec.Command(binary, "run", "-c", path("edgeshadow.yaml"))
	daemon.Env = append(os.Environ(), "EDGESHADOW_SOCKET="+path("api.sock"))
	daemon.Stdout, daemon.Stderr = &log, &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", &log)
		}
		if bad := regexp.MustCompile(`(?m)^.*(panic|level=ERROR|DATA RACE).*$`).FindString(log.String()); bad != "" {
			t.Errorf("in the log: %s", bad)
		}
	})
	mustAnswer(t, ended, mqtts)
	return []string{
		"SDK_THING=" + thing, "SDK_MQTTS=" + mqtts, "SDK_HTTPS=" + https, "SDK_WSS=" + wss,
		"NODE_EXTRA_CA_CERTS=" + path("ca.crt"), "NODE_NO_WARNINGS=1",
		"SDK_CA=" + path("ca.crt"), "SDK_FOLDER=" + folder, "SDK_KEY_ID=" + signer.ID, "SDK_SECRET=" + signer.Secret,
	}
}

// mustCreateKey makes an access key that may do everything, in the daemon's store.
func mustCreateKey(t *testing.T, data string) access.Key {
	t.Helper()
	store, err := localshadow.OpenStore(localshadow.Config{Path: data}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	a, err := access.Open(access.Config{}, store, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.CreateKey(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// mustFree is a port that nobody listens on.
func mustFree(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	address := l.Addr().String()
	return address[strings.LastIndex(address, ":")+1:]
}

// mustAnswer waits until the daemon listens.
func mustAnswer(t *testing.T, ended chan error, port string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- err
			t.Fatalf("the daemon ended: %v", err)
		case <-late:
			t.Fatal("the daemon does not listen")
		}
	}
}
