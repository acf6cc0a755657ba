package embedded

import (
	"archive/tar"
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/xi2/xz"
)

// Of github.com/fergusstrange/embedded-postgres, only its list of published
// versions is used, which moves with the module's updates. Its own fetching
// cannot be had without its way of running the server, which refuses root and
// wipes its folder, and it accepts a download that has no checksum.

// mavenCentral has the binaries that the zonky project builds from the Postgres sources.
const mavenCentral = "https://repo1.maven.org/maven2"

// fetchTimeout is enough for 40 MB over a slow line.
const fetchTimeout = 20 * time.Minute

// maxUnpacked bounds what an archive may unpack to; the real ones have about 150 MB.
const maxUnpacked = 1 << 30

// published maps the major versions that can be fetched to their newest release.
var published = map[int]embeddedpostgres.PostgresVersion{
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// newestPublished is the major version fetched for new data.
const newestPublished = 18

// archive is one published set of binaries.
type archive struct {
	platform string // such as linux-amd64
	version  string // such as 18.3.0
}

// archiveFor names the archive for this machine.
func archiveFor(goos, goarch string, alpine bool, version string) (archive, error) {
	arch, ok := map[string]string{"amd64": "amd64", "arm64": "arm64v8"}[goarch]
	if !ok || (goos != "linux" && goos != "darwin") {
		return archive{}, fmt.Errorf("there are no ready-made Postgres binaries for %s on %s", goos, goarch)
	}
	if alpine && goos == "linux" {
		arch += "-alpine"
	}
	return archive{platform: goos + "-" + arch, version: version}, nil
}

func (r archive) url(repository string) string {
	name := "embedded-postgres-binaries-" + r.platform
	return fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar", strings.TrimRight(repository, "/"), name, r.version, name, r.version)
}

// fetched returns the binaries from the cache folder, downloading them first where they are missing.
func fetched(ctx context.Context, a account, o Options, major int) (binaries, error) {
	_, alpineErr := os.Stat("/etc/alpine-release")
	r, err := archiveFor(runtime.GOOS, runtime.GOARCH, alpineErr == nil, string(published[major]))
	if err != nil {
		return binaries{}, err
	}
	if err := prepareFolder(o.CacheDir, a); err != nil {
		return binaries{}, err
	}
	lock, err := lockFile(filepath.Join(o.CacheDir, "lock"), true)
	if err != nil {
		return binaries{}, fmt.Errorf("lock cache of Postgres binaries: %w", err)
	}
	defer lock.Close()
	target := filepath.Join(o.CacheDir, r.platform+"-"+r.version)
	if b, err := inspect(ctx, a, filepath.Join(target, "bin")); err == nil {
		return b, nil
	}
	if err := r.install(ctx, o, target); err != nil {
		return binaries{}, fmt.Errorf("fetch Postgres %s for %s: %w", r.version, r.platform, err)
	}
	b, err := inspect(ctx, a, filepath.Join(target, "bin"))
	if err != nil {
		return binaries{}, fmt.Errorf("use fetched Postgres: %w", err)
	}
	return b, nil
}

// install downloads, verifies and unpacks aside, then renames into place, so
// that target is either missing or complete.
func (r archive) install(ctx context.Context, o Options, target string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	work, err := os.MkdirTemp(o.CacheDir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	repository := o.BinaryRepositoryURL
	if repository == "" {
		repository = mavenCentral
	}
	jar := filepath.Join(work, "binaries.jar")
	if err := download(ctx, r.url(repository), jar, o.Progress); err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "Unpacking Postgres %s\n", r.version)
	unpacked := filepath.Join(work, "unpacked")
	err = os.Mkdir(unpacked, 0o755)
	if err == nil {
		err = os.Chmod(unpacked, 0o755) // whatever the umask
	}
	if err != nil {
		return err
	}
	if err := unpack(jar, unpacked); err != nil {
		return err
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.Rename(unpacked, target)
}

// download stores url as file and compares it with the checksum published beside it.
func download(ctx context.Context, url, file string, progress io.Writer) error {
	sum, err := get(ctx, url+".sha256")
	if err != nil {
		return err
	}
	defer sum.Body.Close()
	line, err := io.ReadAll(io.LimitReader(sum.Body, 1024))
	if err != nil {
		return fmt.Errorf("read checksum: %w", err)
	}
	want := strings.Fields(string(line) + " ")
	if len(want) == 0 || len(want[0]) != hex.EncodedLen(sha256.Size) {
		return fmt.Errorf("%s.sha256 is no checksum", url)
	}
	body, err := get(ctx, url)
	if err != nil {
		return err
	}
	defer body.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	meter := &progressLines{to: progress, what: "Downloading Postgres from " + body.Request.URL.Host, total: body.ContentLength}
	if _, err := io.Copy(io.MultiWriter(f, hash, meter), body.Body); err != nil {
		return fmt.Errorf("download %s: %w", url, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); !strings.EqualFold(got, want[0]) {
		return fmt.Errorf("download %s: the checksum is %s instead of %s", url, got, want[0])
	}
	return f.Close()
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	// A client of our own leaves no idle connections behind.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return res, nil
}

// progressLines writes a line for each tenth of a download.
type progressLines struct {
	to         io.Writer
	what       string
	total, got int64
	tenths     int64
}

func (p *progressLines) Write(b []byte) (int, error) {
	p.got += int64(len(b))
	if p.total > 0 {
		if tenths := 10 * p.got / p.total; tenths > p.tenths {
			p.tenths = tenths
			fmt.Fprintf(p.to, "%s: %d%% of %.1f MB\n", p.what, 10*tenths, float64(p.total)/1e6)
		}
	}
	return len(b), nil
}

// unpack finds the one compressed archive inside the jar and extracts it below dir.
func unpack(jar, dir string) error {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return fmt.Errorf("open archive: %w", err)
	}
	defer z.Close()
	for _, entry := range z.File {
		if path.Ext(entry.Name) != ".txz" {
			continue
		}
		f, err := entry.Open()
		if err != nil {
			return fmt.Errorf("open archive: %w", err)
		}
		defer f.Close()
		x, err := xz.NewReader(f, 0)
		if err != nil {
			return fmt.Errorf("open archive: %w", err)
		}
		return untar(tar.NewReader(io.LimitReader(x, maxUnpacked)), dir)
	}
	return errors.New("open archive: there are no binaries in it")
}

// untar extracts below dir; os.Root refuses names and links that lead out of it.
func untar(t *tar.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = extract(root, h, t)
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
}

func extract(root *os.Root, h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		return openDir(root, name)
	case tar.TypeSymlink:
		if err := openDir(root, path.Dir(name)); err != nil {
			return err
		}
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		if err := openDir(root, path.Dir(name)); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644) // for everyone, as of openDir
		if h.Mode&0o100 != 0 {
			mode = 0o755
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Chmod(mode), f.Close())
	default:
		return nil
	}
}

// openDir makes a folder open to everyone, whatever the umask: the server may
// run as another user.
func openDir(root *os.Root, name string) error {
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	for ; name != "."; name = path.Dir(name) {
		if err := root.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	return nil
}
