package notifier

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"aiagents/db"
	"aiagents/internal/egress"
)

// Connections tells how a tenant's service desk is reached.
type Connections interface {
	// Connection returns the tenant's connection with its secrets in the clear. It gives a fault of kind NotFound for an
	// unknown tenant and Forbidden for a disabled one, and is asked before every act, so it should cache.
	Connection(ctx context.Context, tenantID string) (Connection, error)
}

// Sealer encrypts what is kept about a tenant, bound to the tenant and to the field it is for: what was sealed for one
// cannot be opened as another.
type Sealer interface {
	Seal(ctx context.Context, tenantID, field string, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, tenantID, field string, sealed []byte) ([]byte, error)
}

// Connection is everything needed to talk to one tenant's desk.
type Connection struct {
	TenantID string
	// Edition is onprem, cloud, msp_onprem, msp_cloud or generic.
	Edition string
	// BaseURL is the desk's address without the API path, such as https://desk.example.com:8443.
	BaseURL string
	// Portal is the <portal> of /app/<portal>/api/v3; empty where there is only one.
	Portal string
	// APIKey is the technician key, or the bearer token of edition generic.
	APIKey string
	// OAuth is for the cloud editions, instead of APIKey.
	OAuth OAuth
	// NoteKey fixes the envelope of notes to note or request_note; empty finds it out.
	NoteKey string
	// AccountIDs are the account.id values of the MSP editions that belong to this tenant. There must be one at least.
	AccountIDs []string
	// OnAmbiguous says what to do when nobody can know whether a note was written and it cannot be found: verify posts
	// it again, never_repost fails and leaves it to a person. Empty is verify.
	OnAmbiguous string
}

// OAuth is a client of the vendor's accounts server.
type OAuth struct {
	AccountsURL  string
	ClientID     string
	ClientSecret string
	RefreshToken string
}

// The editions of Connection.Edition.
const (
	EditionOnPrem    = "onprem"
	EditionCloud     = "cloud"
	EditionMSPOnPrem = "msp_onprem"
	EditionMSPCloud  = "msp_cloud"
	EditionGeneric   = "generic"
)

// The choices of Connection.OnAmbiguous.
const (
	Verify      = "verify"
	NeverRepost = "never_repost"
)

func (c Connection) msp() bool { return c.Edition == EditionMSPOnPrem || c.Edition == EditionMSPCloud }

func (c Connection) cloud() bool { return c.Edition == EditionCloud || c.Edition == EditionMSPCloud }

// String keeps the secrets out of anything that prints a connection.
func (c Connection) String() string {
	return fmt.Sprintf("connection of %s (%s)", c.TenantID, c.Edition)
}

// GoString keeps the secrets out of %#v.
func (c Connection) GoString() string { return c.String() }

// LogValue keeps the secrets out of logs.
func (c Connection) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Deps are the neighbours of the module.
type Deps struct {
	DB          *db.DB
	Connections Connections
	Sealer      Sealer
	Egress      *egress.Guard
	Logger      *slog.Logger
	// ReferenceOf tells the reference of a note that the program's renderer made, whichever run it was made for, and false for
	// any other text. Nil recognises none.
	ReferenceOf func(html string) (reference string, ok bool)
	// Clock is the time of this process, for token lifetimes and breakers; nil is time.Now. The waiting times of the
	// posting protocol follow the database's clock, which all workers share.
	Clock func() time.Time
	// TenantLabel says what metrics call a tenant, and whether they may name any; nil names none.
	TenantLabel func(tenantID string) (label string, on bool)
}

func (d Deps) missing() string {
	var names []string
	need := func(name string, present bool) {
		if !present {
			names = append(names, name)
		}
	}
	need("DB", d.DB != nil)
	need("Connections", d.Connections != nil)
	need("Sealer", d.Sealer != nil)
	need("Egress", d.Egress != nil)
	need("Logger", d.Logger != nil)
	return strings.Join(names, ", ")
}
