package embedded

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// The roles and the database of the server.
const (
	adminRole = "postgres"
	ownerRole = "aiagents_owner"
	appRole   = "aiagents_app"
	database  = "aiagents"
)

// credentials are the passwords by role. They live inside the cluster's folder,
// so that both appear in one rename and are copied and deleted together.
type credentials map[string]string

const credentialsFile = "aiagents_credentials.json"

func newCredentials() credentials {
	return credentials{adminRole: rand.Text(), ownerRole: rand.Text(), appRole: rand.Text()}
}

func readCredentials(data string) (credentials, error) {
	path := filepath.Join(data, credentialsFile)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read passwords of the embedded Postgres: %w", err)
	}
	var c credentials
	if err := json.Unmarshal(content, &c); err != nil {
		return nil, fmt.Errorf("read passwords of the embedded Postgres in %s: %w", path, err)
	}
	return c, nil
}

// url is the connection string of a role.
func (c credentials) url(role, database string, port int) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, c[role]),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// clusterMajor is the major version that wrote the cluster, 0 for none.
func clusterMajor(data string) (int, error) {
	content, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	return major, nil
}

// initCluster makes a new cluster aside and renames it into place, so that a
// crash halfway leaves nothing that looks like a cluster.
func initCluster(ctx context.Context, a account, b binaries, dir, data string, throwaway bool) error {
	unfinished, _ := filepath.Glob(filepath.Join(dir, "cluster.new-*"))
	for _, path := range unfinished {
		// What a dying initdb still writes is left to the next start.
		_ = os.RemoveAll(path)
	}
	work, err := os.MkdirTemp(dir, "cluster.new-")
	if err != nil {
		return fmt.Errorf("make folder for new cluster: %w", err)
	}
	defer os.RemoveAll(work)
	c := newCredentials()
	pwfile := filepath.Join(work, "password")
	if err := os.WriteFile(pwfile, []byte(c[adminRole]+"\n"), 0o600); err != nil {
		return fmt.Errorf("write password for initdb: %w", err)
	}
	if err := a.own(work); err != nil {
		return fmt.Errorf("give new cluster to user %s: %w", a.name, err)
	}
	made := filepath.Join(work, "data")
	if err := initdb(ctx, a, b, made, pwfile, throwaway); err != nil {
		return err
	}
	content, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(made, credentialsFile), content, 0o600)
	}
	if err == nil {
		err = os.Rename(made, data)
	}
	if err != nil {
		return fmt.Errorf("put new cluster into place: %w", err)
	}
	return nil
}

// initdb tries one locale after another until the machine knows it. UTF-8 is
// needed for more than storage: with the plain C locale, full-text search does
// not see that "Ä" and "ä" are one letter.
func initdb(ctx context.Context, a account, b binaries, made, pwfile string, throwaway bool) error {
	locales := [][]string{{"--locale=C.UTF-8"}, {"--locale=en_US.UTF-8"}, {"--locale=C"}}
	if b.major >= 17 {
		locales = [][]string{{"--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"}}
	}
	args := []string{"-D", made, "-U", adminRole, "-A", "scram-sha-256", "--pwfile=" + pwfile, "-E", "UTF8"}
	if throwaway {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	runtime.LockOSThread() // for dieWithParent: nobody else would clean up after an orphaned initdb
	defer runtime.UnlockOSThread()
	var out []byte
	var err error
	for _, locale := range locales {
		cmd := a.command(ctx, b.program("initdb"), append(args, locale...)...)
		dieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
		out, err = cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("initdb of Postgres %s: %w: %s", b, err, strings.TrimSpace(string(out)))
}

// ensureRoles makes the two roles and the database where they are missing, so
// a start that was interrupted before is completed by the next one.
func ensureRoles(ctx context.Context, c credentials, port int) error {
	conn, err := pgx.Connect(ctx, c.url(adminRole, "postgres", port))
	if err != nil {
		return fmt.Errorf("connect to the embedded Postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, role := range []string{ownerRole, appRole} {
		var exists bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&exists); err != nil {
			return fmt.Errorf("look for role %s: %w", role, err)
		}
		if exists {
			continue
		}
		// Utility statements take no parameters. The password is base32 text of our own making.
		if _, err := conn.Exec(ctx, `CREATE ROLE `+role+` LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD '`+c[role]+`'`); err != nil {
			return fmt.Errorf("create role %s: %w", role, err)
		}
	}
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err != nil {
		return fmt.Errorf("look for database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+database+` OWNER `+ownerRole); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}
