package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Running is a server that another process of this user runs.
type Running struct {
	OwnerURL string
	AppURL   string
	DataDir  string
}

// Join finds the running server of the data folder, for commands beside a role that owns it. It starts nothing and stops
// nothing: the server ends with its owner.
func Join(_ context.Context, o Options) (Running, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Running{}, err
	}
	data := filepath.Join(o.DataDir, "cluster")
	pid, err := readPIDFile(data)
	if err == nil && pid.status != "ready" {
		err = errors.New("it is still starting")
	}
	if err != nil {
		return Running{}, fmt.Errorf("join the running Postgres: %w", err)
	}
	passwords, err := readCredentials(data)
	if err != nil {
		return Running{}, err
	}
	return Running{
		OwnerURL: passwords.url(ownerRole, database, pid.port),
		AppURL:   passwords.url(appRole, database, pid.port),
		DataDir:  o.DataDir,
	}, nil
}
