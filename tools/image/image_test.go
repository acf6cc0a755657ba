package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// mostMiB is what a node may have to pull.
const mostMiB = 40

// assembled makes the image for this machine's kind only, as `task image` does for all.
func assembled(t *testing.T, dir string) v1.Image {
	t.Helper()
	var out bytes.Buffer
	s := settings{
		source: "../..", version: "1.2.3-test", commit: "0123abc", platforms: "linux/amd64", epoch: "1700000000",
		layout: filepath.Join(dir, "image"), sboms: dir,
	}
	require.NoError(t, run(t.Context(), s, &out))
	t.Log(out.String())
	index, err := layout.ImageIndexFromPath(s.layout)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	require.Contains(t, out.String(), manifest.Manifests[0].Digest.String())
	img, err := index.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return img
}

func TestTheImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	img := assembled(t, dir)
	require.NoError(t, validate.Image(img), "every digest and size is what it says")

	cfg, err := img.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "65532:65532", cfg.Config.User)
	require.Equal(t, []string{"/ko-app/aiagents"}, cfg.Config.Entrypoint)
	require.Equal(t, "linux/amd64", cfg.OS+"/"+cfg.Architecture)
	require.Equal(t, "1.2.3-test", cfg.Config.Labels["org.opencontainers.image.version"])
	require.Equal(t, "0123abc", cfg.Config.Labels["org.opencontainers.image.revision"])
	require.Equal(t, int64(1700000000), cfg.Created.Unix())
	for _, e := range cfg.Config.Env {
		require.NotRegexp(t, `(?i)(password|token|secret|_key)=`, e)
	}
	size, err := pulled(img)
	require.NoError(t, err)
	require.Less(t, size, int64(mostMiB<<20))

	again, err := assembled(t, t.TempDir()).Digest()
	require.NoError(t, err)
	first, err := img.Digest()
	require.NoError(t, err)
	require.Equal(t, first, again, "the same source gives the same image")

	t.Run("SBOM", func(t *testing.T) { checkSBOM(t, dir) })
	t.Run("runs", func(t *testing.T) { checkRuns(t, img, cfg) })
}

func checkSBOM(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.spdx.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	raw, err := os.ReadFile(files[0])
	require.NoError(t, err)
	var document struct {
		Version  string `json:"spdxVersion"`
		Packages []struct {
			Name    string `json:"name"`
			Version string `json:"versionInfo"`
		} `json:"packages"`
	}
	require.NoError(t, json.Unmarshal(raw, &document))
	require.Regexp(t, `^SPDX-2\.`, document.Version)
	have := map[string]string{}
	for _, p := range document.Packages {
		have[p.Name] = p.Version
	}
	// What the binary was really made of, by the Go toolchain's own account.
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", ".")
	list.Dir = "../.."
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := list.Output()
	require.NoError(t, err)
	seen := 0
	for line := range strings.Lines(string(out)) {
		if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			require.Equal(t, version, have[path], path)
			seen++
		}
	}
	require.Greater(t, seen, 50)
}

// unpack writes the image's file system and returns where the owners differ from root, by path.
func unpack(t *testing.T, img v1.Image, root string) {
	t.Helper()
	files := mutate.Extract(img)
	defer files.Close()
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		name := filepath.Join(root, filepath.Clean("/"+h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			require.NoError(t, os.MkdirAll(name, 0o755))
		case tar.TypeReg:
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, content, 0o600))
		default:
			t.Fatalf("%s is neither file nor folder: %c", h.Name, h.Typeflag)
		}
		require.Zero(t, h.Mode&0o6000, "%s is set-user-id", h.Name)
		require.NoError(t, os.Chown(name, h.Uid, h.Gid))
		require.NoError(t, os.Chmod(name, h.FileInfo().Mode()))
	}
}

// contained runs the image's program as a container engine would: in its own root, which is mounted read-only, as its user,
// with nothing of this machine's environment.
func contained(t *testing.T, root string, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/ko-app/aiagents", args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/ko-app", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}, environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user, NoSetGroups: false},
	}
	return cmd
}

func checkRuns(t *testing.T, img v1.Image, cfg *v1.ConfigFile) {
	if os.Getuid() != 0 {
		t.Skip("another root and user can be taken by root only")
	}
	// Not t.TempDir: the program's user must be able to reach it.
	root, err := os.MkdirTemp("", "aiagents-root-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(root, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	unpack(t, img, root)
	require.NoError(t, syscall.Mount(root, root, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(root, syscall.MNT_DETACH)) })
	require.NoError(t, syscall.Mount("", root, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	require.ErrorIs(t, os.WriteFile(filepath.Join(root, "tmp", "x"), nil, 0o600), syscall.EROFS)
	require.Equal(t, []string{"/ko-app/aiagents"}, cfg.Config.Entrypoint)

	out, err := contained(t, root, nil, "version").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "1.2.3-test")
	require.Contains(t, string(out), "0123abc")

	d := dbtest.NewUnopened(t)
	environ := []string{
		"AI_AGENTS_ENVIRONMENT=staging", "AI_AGENTS_DATABASE_URL=" + d.AppURL, "TZ=Asia/Kolkata",
		"AI_AGENTS_ENCRYPTION_KEYS=k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AI_AGENTS_HTTP_ADDR=127.0.0.1:0", "AI_AGENTS_OPS_ADDR=127.0.0.1:0", "AI_AGENTS_HTTP_SHUTDOWN_DELAY=0s",
	}
	for _, role := range []string{"serve", "work"} {
		answersReady(t, contained(t, root, environ, role))
	}
}

var opsAddr = regexp.MustCompile(`"ops_addr":"([^"]+)"`)

func answersReady(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var seen strings.Builder
	var addr string
	for lines := bufio.NewScanner(logs); addr == "" && lines.Scan(); {
		seen.WriteString(lines.Text() + "\n")
		if m := opsAddr.FindStringSubmatch(lines.Text()); m != nil {
			addr = m[1]
		}
	}
	require.NotEmpty(t, addr, "%v did not start:\n%s", cmd.Args, seen.String())
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, logs) }()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		resp, err := client.Get("http://" + addr + "/health/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusOK && strings.Contains(string(body), `"database":"connected"`)
	}, 30*time.Second, 100*time.Millisecond, "%v", cmd.Args)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	<-drained
	require.NoError(t, cmd.Wait(), "stops in order")
}

// The base alone: what is in it besides the program, byte for byte.
func TestTheBaseHoldsNothingElse(t *testing.T) {
	t.Parallel()
	platforms, err := parsePlatforms([]string{"linux/amd64", "linux/arm64"})
	require.NoError(t, err)
	index, err := base(platforms, time.Unix(0, 0).UTC())
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	for i, want := range []string{"linux/amd64", "linux/arm64"} {
		require.Equal(t, want, manifest.Manifests[i].Platform.String())
	}
	img, err := index.Image(manifest.Manifests[1].Digest)
	require.NoError(t, err)
	files := mutate.Extract(img)
	defer files.Close()
	var names []string
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, strings.TrimSuffix(h.Name, "/")) // libraries differ in how they name folders
		if h.Uid != 0 {
			require.Equal(t, dataDir, strings.TrimSuffix(h.Name, "/"))
		}
	}
	require.ElementsMatch(t, []string{
		"etc", "etc/group", "etc/passwd", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt", "tmp", "var", "var/lib", "var/lib/aiagents",
	}, names)
	require.Greater(t, bytes.Count(authorities(), []byte("BEGIN CERTIFICATE")), 100)
}

func TestWrongPlatformsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := parsePlatforms(nil)
	require.ErrorContains(t, err, "no platform")
	s := settings{source: "../..", epoch: "yesterday"}
	require.ErrorContains(t, run(t.Context(), s, io.Discard), "seconds since 1970")
}
