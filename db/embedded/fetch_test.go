package embedded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository plays the Maven repository for one archive.
type repository struct {
	*httptest.Server
	jar      []byte
	checksum string
	hits     atomic.Int64 // of the archive itself
}

func newRepository(t *testing.T, jar []byte) *repository {
	t.Helper()
	r := &repository{jar: jar, checksum: fmt.Sprintf("%x", sha256.Sum256(jar))}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case !strings.HasPrefix(req.URL.Path, "/io/zonky/test/postgres/embedded-postgres-binaries-"):
			http.NotFound(w, req)
		case strings.HasSuffix(req.URL.Path, ".jar.sha256") && r.checksum != "":
			fmt.Fprint(w, r.checksum)
		case strings.HasSuffix(req.URL.Path, "-18.3.0.jar"), strings.HasSuffix(req.URL.Path, "-16.9.0.jar"):
			r.hits.Add(1)
			w.Header().Set("Content-Length", fmt.Sprint(len(r.jar)))
			w.Write(r.jar)
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *repository) options(t *testing.T) Options {
	t.Helper()
	return Options{DataDir: newDir(t), CacheDir: newProgramDir(t), BinaryRepositoryURL: r.URL, installed: func() []string { return nil }}
}

// wrappers are programs that run this machine's real ones.
func wrappers(t *testing.T) map[string]string {
	t.Helper()
	found := suitable(t.Context(), serverAccount(), installedDirs())
	require.NotEmpty(t, found, "this test packs the Postgres of this machine")
	files := map[string]string{"share/readme.txt": strings.Repeat("padding makes the download worth a few lines\n", 5000)}
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		files["bin/"+name] = fmt.Sprintf("#!/bin/sh\nexec %q \"$@\"\n", found[0].program(name))
	}
	return files
}

func jarOf(t *testing.T, entry string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	_, err := z.Create("META-INF/MANIFEST.MF")
	require.NoError(t, err)
	w, err := z.CreateHeader(&zip.FileHeader{Name: entry, Method: zip.Store})
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func tarOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o700, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/postmaster", Linkname: "postgres", Typeflag: tar.TypeSymlink}))
	require.NoError(t, w.Close())
	return b.Bytes()
}

// xzOf wraps data in the xz format without compressing it: chunks of LZMA2
// "uncompressed" in one block, without a check.
func xzOf(data []byte) []byte {
	checked := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	flags := []byte{0, 0}
	out := append([]byte("\xfd7zXZ\x00"), checked(flags)...)
	header := checked([]byte{2, 0, 0x21, 1, 8, 0, 0, 0}) // one filter, LZMA2, 64 KiB dictionary
	block := bytes.Clone(header)
	control := byte(1) // the first chunk resets the dictionary
	for rest := data; len(rest) > 0; control = 2 {
		n := min(len(rest), 1<<16)
		block = append(block, control, byte((n-1)>>8), byte(n-1))
		block = append(block, rest[:n]...)
		rest = rest[n:]
	}
	block = append(block, 0)
	index := []byte{0, 1}
	index = binary.AppendUvarint(index, uint64(len(block)))
	index = binary.AppendUvarint(index, uint64(len(data)))
	for len(block)%4 != 0 {
		block = append(block, 0)
	}
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	index = checked(index)
	out = append(append(out, block...), index...)
	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(footer))
	return append(append(out, footer...), "YZ"...)
}

func realJar(t *testing.T) []byte {
	t.Helper()
	return jarOf(t, "postgres-linux.txz", xzOf(tarOf(t, wrappers(t))))
}

func TestFetchedOnceAndRun(t *testing.T) {
	// Not parallel: the umask is the process's, and a strict one must not close the binaries to the server's user.
	defer syscall.Umask(syscall.Umask(0o077))
	r := newRepository(t, realJar(t))
	o := r.options(t)
	var progress lockedBuffer
	o.Progress = &progress
	s := start(t, o)
	require.Equal(t, 1, read[int](t, s.AppURL(), `SELECT 1`))
	require.True(t, strings.HasPrefix(s.binaries.dir, o.CacheDir), "runs from %s", s.binaries.dir)
	require.Contains(t, progress.String(), "Downloading Postgres from 127.0.0.1")
	require.Contains(t, progress.String(), "100% of 0.2 MB")
	s.Stop(t.Context())

	progress.b.Reset()
	o.DataDir = newDir(t)
	start(t, o)
	require.NotContains(t, progress.String(), "Downloading")
	require.EqualValues(t, 1, r.hits.Load())
}

func TestParallelFetchesDownloadOnce(t *testing.T) {
	t.Parallel()
	r := newRepository(t, realJar(t))
	o := r.options(t)
	o, err := o.withDefaults()
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := chooseBinaries(t.Context(), serverAccount(), o, 16)
			require.NoError(t, err)
		})
	}
	all.Wait()
	require.EqualValues(t, 1, r.hits.Load())
}

func TestFetchRefusesWhatItCannotTrust(t *testing.T) {
	t.Parallel()
	good := realJar(t)
	escape := func(name string) []byte {
		return jarOf(t, "x.txz", xzOf(tarOf(t, map[string]string{name: "x"})))
	}
	for name, tc := range map[string]struct {
		jar      []byte
		checksum string // "" serves the right one, "-" none
		says     string
	}{
		"wrong checksum":          {good, strings.Repeat("0", 64), "the checksum is"},
		"no checksum":             {good, "-", "404"},
		"checksum is a page":      {good, "<html>", "is no checksum"},
		"not an archive":          {[]byte("<html>"), "", "open archive"},
		"archive without":         {jarOf(t, "readme", nil), "", "no binaries"},
		"not compressed":          {jarOf(t, "x.txz", []byte("plain")), "", "open archive"},
		"leads out":               {escape("../../outside"), "", "unpack"},
		"absolute":                {escape("/tmp/outside"), "", "unpack"},
		"programs missing inside": {escape("bin/psql"), "", "incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, tc.jar)
			switch tc.checksum {
			case "":
			case "-":
				r.checksum = ""
			default:
				r.checksum = tc.checksum
			}
			o := r.options(t)
			_, err := Start(t.Context(), o)
			require.ErrorContains(t, err, tc.says)
			require.ErrorContains(t, err, "AI_AGENTS_DATABASE_URL", "and the way out is named")
			left, err := filepath.Glob(filepath.Join(o.CacheDir, "fetch-*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestBrokenFetchIsRepeated(t *testing.T) {
	t.Parallel()
	r := newRepository(t, realJar(t))
	o, err := r.options(t).withDefaults()
	require.NoError(t, err)
	b, err := fetched(t.Context(), serverAccount(), o, 18)
	require.NoError(t, err)
	require.NoError(t, os.Remove(b.program("initdb")))
	_, err = fetched(t.Context(), serverAccount(), o, 18)
	require.NoError(t, err)
	require.EqualValues(t, 2, r.hits.Load())
}

func TestArchiveNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		os, arch string
		alpine   bool
		want     string
	}{
		{"linux", "amd64", false, "linux-amd64"},
		{"linux", "arm64", false, "linux-arm64v8"},
		{"linux", "amd64", true, "linux-amd64-alpine"},
		{"darwin", "amd64", false, "darwin-amd64"},
		{"darwin", "arm64", false, "darwin-arm64v8"},
		{"linux", "riscv64", false, ""},
		{"plan9", "amd64", false, ""},
	} {
		r, err := archiveFor(tc.os, tc.arch, tc.alpine, "18.3.0")
		if tc.want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "https://example.org/io/zonky/test/postgres/embedded-postgres-binaries-"+tc.want+
			"/18.3.0/embedded-postgres-binaries-"+tc.want+"-18.3.0.jar", r.url("https://example.org/"))
	}
}
