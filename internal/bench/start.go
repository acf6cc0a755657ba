package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"aiagents/internal/harness"
)

const (
	starts   = 5 // of each role
	idleTime = 5 * time.Second
)

func playStart(ctx context.Context, s *stage, b *build) (*result, error) {
	database, drop, err := s.copyOf(ctx, b, s.withTenants)
	if err != nil {
		return nil, err
	}
	defer drop()
	r := &result{Notes: []string{
		fmt.Sprintf("from exec to the first 200 of /health/ready, asked every 2 ms, against an existing database; median and slowest of %d starts", starts),
		fmt.Sprintf("idle memory %s after the last start, no request served", s.opts.phase(idleTime)),
	}}
	for _, role := range []string{"serve", "work", "all"} {
		if err := s.timeStarts(ctx, b, database, role, r); err != nil {
			return nil, err
		}
	}
	return r, s.weigh(b, r)
}

func (s *stage) timeStarts(ctx context.Context, b *build, database, role string, r *result) error {
	var ready []time.Duration
	var idle int64
	for i := range starts {
		p, err := s.startRole(ctx, b, role, database)
		if err != nil {
			return err
		}
		ready = append(ready, p.toReady)
		if i == starts-1 {
			harness.Pause(ctx, s.opts.phase(idleTime))
			idle = usageOf(p.cmd.Process.Pid).RSS
		}
		if err := s.stopRoles(); err != nil {
			return err
		}
	}
	slices.Sort(ready)
	r.add(role+" ready", ms(ready[starts/2]), "ms", "lower").goal(300)
	r.add(role+" ready, slowest", ms(ready[starts-1]), "ms", "lower")
	r.add(role+" idle", mib(idle), "MiB", "lower").goal(40)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// weigh reports the size of the binary, and of the image where `task image` has made one.
func (s *stage) weigh(b *build, r *result) error {
	content, err := os.ReadFile(b.binary)
	if err != nil {
		return fmt.Errorf("read binary: %w", err)
	}
	r.add("binary", mib(int64(len(content))), "MiB", "lower")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(content); err != nil {
		return fmt.Errorf("compress binary: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress binary: %w", err)
	}
	r.add("binary, compressed", mib(int64(packed.Len())), "MiB", "lower").goal(40)
	if size, ok := imageSize(filepath.Join(s.root, "dist", "image")); ok {
		r.add("image, compressed", mib(size), "MiB", "lower").goal(40)
		return nil
	}
	r.Notes = append(r.Notes, "no image in dist/image (task image): its base adds about 2 MiB to the compressed binary")
	return nil
}

// imageSize is the largest image of an OCI layout: what one machine pulls.
func imageSize(dir string) (int64, bool) {
	type descriptor struct {
		Digest    string       `json:"digest"`
		Size      int64        `json:"size"`
		Manifests []descriptor `json:"manifests"`
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
	}
	var largest int64
	var visit func(path string)
	visit = func(path string) {
		var d descriptor
		content, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(content, &d) != nil {
			return
		}
		var size int64
		for _, l := range d.Layers {
			size += l.Size
		}
		largest = max(largest, size)
		for _, m := range d.Manifests {
			visit(filepath.Join(dir, "blobs", "sha256", m.Digest[min(7, len(m.Digest)):]))
		}
	}
	visit(filepath.Join(dir, "index.json"))
	return largest, largest > 0
}
