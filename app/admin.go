package app

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"aiagents/app/adminauth"
	"aiagents/app/operator"
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
	api := ops.Group("/api/v1", guard.Protect(nil))
	api.GET("/overview", func(c echo.Context) error {
		o, err := p.system.operator.Overview(c.Request().Context(), operator.Window(c.QueryParam("window")))
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]any{"status": "success", "data": o, "message": ""})
	})
	return nil
}
