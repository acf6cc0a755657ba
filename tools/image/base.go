package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user owns nothing in the image but dataDir.
const (
	user    = 65532
	dataDir = "var/lib/aiagents"
)

// base is an index with one image a platform; they differ in their platform only.
func base(platforms []v1.Platform, created time.Time) (v1.ImageIndex, error) {
	layer, err := baseLayer(created)
	if err != nil {
		return nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
		img, err = mutate.Append(img, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "aiagents base"},
		})
		if err != nil {
			return nil, fmt.Errorf("add the base's layer: %w", err)
		}
		img, err = mutate.ConfigFile(img, withPlatform(img, platform, created))
		if err != nil {
			return nil, fmt.Errorf("set the base's config: %w", err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &platform},
		})
	}
	return index, nil
}

func withPlatform(img v1.Image, platform v1.Platform, created time.Time) *v1.ConfigFile {
	cfg, err := img.ConfigFile()
	if err != nil {
		panic(err) // an image in memory always has one
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = platform.OS, platform.Architecture
	cfg.Created = v1.Time{Time: created}
	cfg.Config.User = fmt.Sprintf("%d:%d", user, user)
	cfg.Config.Cmd = []string{"all"}
	cfg.Config.ExposedPorts = map[string]struct{}{"8000/tcp": {}, "8081/tcp": {}}
	cfg.Config.Env = []string{"PATH=/ko-app", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}
	return cfg
}

func baseLayer(created time.Time) (v1.Layer, error) {
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	account := fmt.Sprintf("root:x:0:0:root:/:/none\naiagents:x:%d:%d:aiagents:/%s:/none\n", user, user, dataDir)
	group := fmt.Sprintf("root:x:0:\naiagents:x:%d:\n", user)
	for _, e := range []struct {
		name    string
		mode    int64
		owner   int
		content []byte // nil for a folder
	}{
		{"etc", 0o755, 0, nil},
		{"etc/passwd", 0o644, 0, []byte(account)},
		{"etc/group", 0o644, 0, []byte(group)},
		{"etc/ssl", 0o755, 0, nil},
		{"etc/ssl/certs", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, authorities()},
		{"tmp", 0o1777, 0, nil},
		{"var", 0o755, 0, nil},
		{"var/lib", 0o755, 0, nil},
		{dataDir, 0o700, user, nil},
	} {
		header := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: created, Format: tar.FormatPAX}
		header.Typeflag, header.Size = tar.TypeReg, int64(len(e.content))
		if e.content == nil {
			header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.name, err)
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the base's layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(file.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// authorities are Mozilla's, as PEM. One that is trusted under conditions only is left out: a file cannot say them.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return all.Bytes()
}
