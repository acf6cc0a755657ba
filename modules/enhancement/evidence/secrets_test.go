package evidence

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"password: Winter-2026!":                                                    "password: •••",
		"Passwort = geheim99, bitte":                                                "Passwort = •••, bitte",
		"mot de passe : Soleil77.":                                                  "mot de passe : •••.",
		"contraseña: abc123xyz":                                                     "contraseña: •••",
		"Wachtwoord: fiets12345":                                                    "Wachtwoord: •••",
		`{"api_key":"abcdef123456"}`:                                                `{"api_key":"•••"}`,
		"DB_PASSWORD=hunter22":                                                      "DB_PASSWORD=•••",
		`password: "correct horse battery staple" ok`:                               `password: "•••" ok`,
		"the password is Winter26 now":                                              "the password is ••• now",
		"Reset the password to Winter-26.":                                          "Reset the password to •••.",
		"Das Kennwort lautet Sommer#1":                                              "Das Kennwort lautet •••",
		"Authorization: Basic dXNlcjpwYXNz":                                         "Authorization: Basic •••",
		"use Bearer abcdef1234567890":                                               "use Bearer •••",
		"https://bob:hunter2@files.example/x":                                       "https://bob:•••@files.example/x",
		"key sk-proj-abcdefghijklmnop1234":                                          "key •••",
		"AKIAABCDEFGHIJKLMNOP and ghp_abcdefghijklmnopqrstuvwxyz01":                 "••• and •••",
		"token eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl":                              "token •••",
		"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- after": "••• after",
		"-----BEGIN PRIVATE KEY-----\ncut off":                                      "•••",
		"BitLocker 111111-222222-333333-444444-555555-666666-777777-888888":         "BitLocker •••",
		"card 4111 1111 1111 1111 expired":                                          "card ••• expired",
		"IBAN DE89 3704 0044 0532 0130 00 please":                                   "IBAN ••• please",
		"SNMP community string: publ1c":                                             "SNMP community string: •••",
		"PIN: 4711":                                                                 "PIN: •••",
	} {
		got, n := MaskSecrets(text)
		require.Equal(t, want, got)
		require.Positive(t, n, text)
		again, n := MaskSecrets(got)
		require.Equal(t, want, again, "masking twice changes nothing")
		require.Zero(t, n, text)
	}
}

func TestOrdinaryTextIsNotMasked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"The password is wrong", "password expired yesterday", "Das Passwort ist abgelaufen", "order 4111 1111 1111 1112", "error 0x80040115",
		"IBAN DE00 3704 0044 0532 0130 00", "the token was not accepted", "Press any key to continue", "serial 123456789012", "a basic question",
	} {
		got, n := MaskSecrets(text)
		require.Equal(t, text, got)
		require.Zero(t, n)
	}
}
