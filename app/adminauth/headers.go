package adminauth

import "github.com/labstack/echo/v4"

// Policy is the content security policy of our own pages: everything from here, nothing inline, in nobody's frame.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Headers sets what every answer to an operator carries. An empty policy is Policy; a page that embeds somebody else's
// program may need another, and says why.
func Headers(c echo.Context, policy string) {
	if policy == "" {
		policy = Policy
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Our own pages still tell where they are: without it, a browser on plain http would send the origin "null" with a
	// form, and the form would be taken for another site's.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if c.Request().TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
