package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/ko/pkg/build"
	"github.com/google/ko/pkg/commands/options"
	"github.com/google/ko/pkg/publish"
)

// module is the product's path: the name under which ko knows what to build.
const module = "aiagents"

// settings are the command line.
type settings struct {
	source    string // the product's folder
	version   string
	commit    string
	platforms string // comma-separated; empty: those of .ko.yaml
	layout    string // folder of the OCI layout
	push      string // repository to push to, instead of the layout
	baseTag   string // repository:tag to push the base alone to, for goreleaser's ko
	sboms     string // folder of the SBOM files
	epoch     string // seconds since 1970; the commit's time
}

func main() {
	log.SetFlags(0)
	var s settings
	flag.StringVar(&s.source, "source", ".", "folder of the product's module")
	flag.StringVar(&s.version, "version", "dev", "version stamp, and tag when pushing")
	flag.StringVar(&s.commit, "commit", "unknown", "commit stamp")
	flag.StringVar(&s.platforms, "platforms", "", "such as linux/amd64,linux/arm64 (default: those of .ko.yaml)")
	flag.StringVar(&s.layout, "layout", "dist/image", "folder to write the OCI layout to")
	flag.StringVar(&s.push, "push", "", "repository to push to, instead of writing a layout")
	flag.StringVar(&s.baseTag, "push-base", "", "push the base image alone to this repository:tag, and build nothing")
	flag.StringVar(&s.sboms, "sboms", "dist", "folder to write the SBOMs to")
	flag.StringVar(&s.epoch, "epoch", os.Getenv("SOURCE_DATE_EPOCH"), "time in the image, in seconds since 1970 (default: SOURCE_DATE_EPOCH, the commit's time, or 0)")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, s, os.Stdout); err != nil {
		log.Fatal("image: ", err)
	}
}

func run(ctx context.Context, s settings, out io.Writer) error {
	created, err := s.created(ctx)
	if err != nil {
		return err
	}
	options := options.BuildOptions{WorkingDirectory: s.source}
	if err := options.LoadConfig(); err != nil {
		return fmt.Errorf("read .ko.yaml: %w", err)
	}
	platforms := options.DefaultPlatforms
	if s.platforms != "" {
		platforms = strings.Split(s.platforms, ",")
	}
	parsed, err := parsePlatforms(platforms)
	if err != nil {
		return err
	}
	from, err := base(parsed, created)
	if err != nil {
		return err
	}
	if s.baseTag != "" {
		return pushBase(ctx, s.baseTag, from)
	}
	result, err := compile(ctx, s, options, platforms, from, created)
	if err != nil {
		return err
	}
	where, err := deliver(ctx, s, result)
	if err != nil {
		return err
	}
	return report(out, where, result, s.sboms)
}

// created is the one time in the image.
func (s settings) created(ctx context.Context) (time.Time, error) {
	text := s.epoch
	if text == "" {
		cmd := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct")
		cmd.Dir = s.source
		if out, err := cmd.Output(); err == nil { // a source tree without history has no commit
			text = strings.TrimSpace(string(out))
		}
	}
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("epoch: seconds since 1970, not %q", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func parsePlatforms(texts []string) (all []v1.Platform, err error) {
	for _, text := range texts {
		p, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, fmt.Errorf("platform %q: %w", text, err)
		}
		all = append(all, *p)
	}
	if len(all) == 0 {
		return nil, errors.New("no platform: name them in .ko.yaml or with --platforms")
	}
	return all, nil
}

// baseName stands in the image's annotations. The name is reserved: nobody can publish a base under it.
const baseName = "aiagents.invalid/base:static"

func compile(ctx context.Context, s settings, o options.BuildOptions, platforms []string, from v1.ImageIndex, created time.Time) (build.Result, error) {
	reference, err := name.ParseReference(baseName)
	if err != nil {
		return nil, fmt.Errorf("name the base: %w", err)
	}
	// .ko.yaml takes the stamps from here.
	for variable, value := range map[string]string{"VERSION": s.version, "COMMIT": s.commit} {
		if err := os.Setenv(variable, value); err != nil {
			return nil, fmt.Errorf("set %s: %w", variable, err)
		}
	}
	if err := os.MkdirAll(s.sboms, 0o755); err != nil {
		return nil, fmt.Errorf("make folder for SBOMs: %w", err)
	}
	builder, err := build.NewGobuilds(ctx, s.source, o.BuildConfigs,
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) { return reference, from, nil }),
		build.WithPlatforms(platforms...), build.WithConfig(o.BuildConfigs), build.WithTrimpath(true), build.WithJobs(1),
		build.WithCreationTime(v1.Time{Time: created}), build.WithKoDataCreationTime(v1.Time{Time: created}),
		build.WithSPDX(s.version), build.WithSBOMDir(s.sboms),
		build.WithLabel("org.opencontainers.image.title", module),
		build.WithLabel("org.opencontainers.image.version", s.version),
		build.WithLabel("org.opencontainers.image.revision", s.commit),
		build.WithLabel("org.opencontainers.image.description", "Grounded notes on service desk tickets"),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare the build: %w", err)
	}
	path, err := builder.QualifyImport(".")
	if err == nil {
		err = builder.IsSupportedReference(path)
	}
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	result, err := builder.Build(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return result, nil
}

// deliver pushes the image, or writes it as an OCI layout, and says where it is.
func deliver(ctx context.Context, s settings, result build.Result) (string, error) {
	if s.push == "" {
		return s.layout, writeLayout(s.layout, result)
	}
	to, err := publish.NewDefault(s.push, publish.WithTags([]string{s.version}), publish.WithAuthFromKeychain(authn.DefaultKeychain),
		publish.WithNamer(func(base, _ string) string { return base }))
	if err != nil {
		return "", fmt.Errorf("open the registry: %w", err)
	}
	reference, err := to.Publish(ctx, result, module)
	if err != nil {
		return "", fmt.Errorf("push: %w", err)
	}
	return reference.String(), nil
}

// writeLayout replaces what an earlier build left, which would be carried along.
func writeLayout(dir string, result build.Result) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear the layout: %w", err)
	}
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("make the layout: %w", err)
	}
	switch r := result.(type) {
	case v1.ImageIndex:
		err = to.AppendIndex(r)
	case v1.Image:
		err = to.AppendImage(r)
	}
	if err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}
	return nil
}

func pushBase(ctx context.Context, tag string, from v1.ImageIndex) error {
	reference, err := name.NewTag(tag)
	if err != nil {
		return fmt.Errorf("push-base: %w", err)
	}
	if err := remote.WriteIndex(reference, from, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push the base: %w", err)
	}
	return nil
}

// report prints what was built: one line an image with its compressed size, which is what a node pulls.
func report(out io.Writer, where string, result build.Result, sboms string) error {
	digest, err := result.Digest()
	if err != nil {
		return fmt.Errorf("read digest: %w", err)
	}
	fmt.Fprintf(out, "image %s\ndigest %s\n", where, digest)
	images, err := imagesOf(result)
	if err != nil {
		return err
	}
	for _, img := range images {
		cfg, err := img.ConfigFile()
		if err != nil {
			return fmt.Errorf("read config: %w", err)
		}
		size, err := pulled(img)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s/%s %.1f MiB compressed\n", cfg.OS, cfg.Architecture, float64(size)/(1<<20))
	}
	files, err := filepath.Glob(filepath.Join(sboms, "*.spdx.json"))
	if err != nil {
		return fmt.Errorf("list SBOMs: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		fmt.Fprintf(out, "sbom %s\n", file)
	}
	return nil
}

func imagesOf(result build.Result) ([]v1.Image, error) {
	switch r := result.(type) {
	case v1.Image:
		return []v1.Image{r}, nil
	case v1.ImageIndex:
		manifest, err := r.IndexManifest()
		if err != nil {
			return nil, fmt.Errorf("read index: %w", err)
		}
		var all []v1.Image
		for _, m := range manifest.Manifests {
			img, err := r.Image(m.Digest)
			if err != nil {
				return nil, fmt.Errorf("read image: %w", err)
			}
			all = append(all, img)
		}
		return all, nil
	}
	return nil, fmt.Errorf("a result that is neither image nor index: %T", result)
}

// pulled is the size of what travels: all layers as they are stored, and the config.
func pulled(img v1.Image) (size int64, err error) {
	manifest, err := img.Manifest()
	if err != nil {
		return 0, fmt.Errorf("read manifest: %w", err)
	}
	size = manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}
