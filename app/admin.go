package app

import (
	"strings"

	"github.com/labstack/echo/v4"

	"aiagents/app/adminapi"
	"aiagents/app/adminauth"
)

// mountAdmin adds the operator's interfaces to the operations port. Where nobody could be let in, nothing is mounted: the
// addresses then answer what any unknown one answers.
func (p *process) mountAdmin(ops *echo.Echo) error {
	guard, err := adminauth.New(adminauth.Config{Token: p.cfg.Ops.AdminToken, OpenLocally: p.cfg.development()})
	if err != nil || !guard.Enabled() {
		return err
	}
	if err := p.mountConsole(ops, guard); err != nil {
		return err
	}
	// By the beginning of the path and not by route, so that an address that does not exist tells a stranger nothing.
	ops.Use(under(adminapi.Prefix+"/", guard.Protect(nil)))
	return adminapi.Mount(ops, adminapi.Deps{
		Service: p.system.operator,
		Refuse:  func(c echo.Context, err error) adminapi.RefusalError { return refuse(p.tel.logger, c, err) },
	})
}

// under applies a middleware to the paths that begin with prefix.
func under(prefix string, middleware echo.MiddlewareFunc) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		inside := middleware(next)
		return func(c echo.Context) error {
			if strings.HasPrefix(c.Request().URL.Path, prefix) {
				return inside(c)
			}
			return next(c)
		}
	}
}
