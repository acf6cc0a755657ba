package retrieval

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// shares reports whether two texts have a term in common beyond what both languages' stop words leave.
func shares(a, b string) bool {
	for _, e := range analyse("", a) {
		for _, o := range analyse("", b) {
			if e.term == o.term {
				return true
			}
		}
	}
	return false
}

func TestWordsMeetAcrossFormsAndAccents(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"Übertragung abgebrochen", "ubertragung der Datei"},
		{"Die Drucker sind nicht mehr erreichbar und das ist ein Problem", "Der Drucker ist nach dem Neustart nicht da"},
		{"Straße", "strasse"},
		{"L'imprimante réseau n'est plus visible dans le bureau", "Les imprimantes ne sont pas dans la liste"},
		{"accès refusé", "acces refuse"},
		{"La contraseña ha caducado y no puedo entrar en el sistema", "Las contraseñas de los usuarios no se pueden cambiar"},
		{"conexión", "conexion"},
		{"ネットワーク障害", "社内ネットワークに接続できない"},
		{"打印机无法连接", "办公室打印机离线"},
		{"네트워크 오류", "네트워크 연결"},
	} {
		require.True(t, shares(pair[0], pair[1]), "%q and %q", pair[0], pair[1])
	}
	require.False(t, shares("Der Drucker ist nicht da", "Die Maus ist nicht hier"))
	require.False(t, shares("打印机无法连接", "邮箱已满"))
}

// TestLanguagesFindTheirOwn is a sanity check, not a measurement: for each language a few solved tickets and questions in other
// words. A compound meets its parts by the letters of the titles, once any other word has made it a candidate.
func TestLanguagesFindTheirOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	solved := map[string][2]string{
		"de1": {"Netzwerkdrucker druckt nicht", "Der Drucker im zweiten Stock ist nach dem Umzug nicht mehr erreichbar."},
		"de2": {"Passwort abgelaufen", "Die Anmeldung am Rechner ist nicht mehr möglich, weil das Kennwort abgelaufen ist."},
		"de3": {"Bildschirm flackert", "Der Monitor an der Dockingstation flackert seit dem Update."},
		"de4": {"Postfach voll", "Es können keine Nachrichten mehr empfangen werden, das Postfach ist voll."},
		"fr1": {"Imprimante réseau hors ligne", "L'imprimante du deuxième étage n'est plus visible depuis le déménagement."},
		"fr2": {"Mot de passe expiré", "La connexion à l'ordinateur n'est plus possible car le mot de passe a expiré."},
		"fr3": {"Écran qui clignote", "L'écran de la station d'accueil clignote depuis la mise à jour."},
		"fr4": {"Boîte aux lettres pleine", "Les messages ne sont plus reçus, la boîte aux lettres est pleine."},
		"es1": {"Impresora de red sin conexión", "La impresora del segundo piso no está disponible desde la mudanza."},
		"es2": {"Contraseña caducada", "No se puede iniciar sesión en el equipo porque la contraseña ha caducado."},
		"es3": {"La pantalla parpadea", "El monitor de la base parpadea desde la actualización."},
		"es4": {"Buzón lleno", "No se reciben mensajes porque el buzón de correo está lleno."},
		"zh1": {"网络打印机离线", "二楼的打印机搬迁后无法连接。"},
		"zh2": {"密码已过期", "密码过期后无法登录电脑。"},
		"ja1": {"ネットワークプリンターがオフライン", "移転後、二階のプリンターに接続できません。"},
		"ja2": {"パスワードの有効期限切れ", "パスワードの期限が切れてログインできません。"},
	}
	var tickets []Ticket
	for id, text := range solved {
		tickets = append(tickets, Ticket{ID: id, Subject: text[0], Description: text[1], Resolution: "Replaced the faulty part today", Source: "import"})
	}
	upsert(t, s, tenant, tickets...)
	for question, want := range map[string]string{
		"Drucker im Netzwerk nicht erreichbar":                   "de1",
		"Anmeldung geht nicht, Kennwort ist abgelaufen":          "de2",
		"Monitore flackern nach dem Update":                      "de3",
		"Mein Postfach ist voll und ich bekomme keine Nachricht": "de4",
		"imprimantes du reseau plus visibles":                    "fr1",
		"Mots de passe expires, connexion impossible":            "fr2",
		"les ecrans clignotent depuis la mise a jour":            "fr3",
		"boite aux lettres pleine, aucun message recu":           "fr4",
		"las impresoras de red no tienen conexion":               "es1",
		"contrasena caducada, no puedo iniciar sesion":           "es2",
		"pantallas que parpadean tras la actualizacion":          "es3",
		"el buzon esta lleno y no recibo mensajes":               "es4",
		"打印机连不上网络":                                               "zh1",
		"登录时提示密码过期":                                              "zh2",
		"プリンターに接続できない":                                           "ja1",
		"パスワードが切れた":                                              "ja2",
	} {
		found := similar(t, s, tenant, Query{Subject: question})
		require.NotEmpty(t, found, question)
		require.Equal(t, want, found[0], question)
	}
}

func TestLanguageIsRecognisedFromStopWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"The printer is not working since this morning and I need it":   "english",
		"Der Drucker ist seit heute nicht mehr da und ich brauche ihn":  "german",
		"L'imprimante ne marche plus depuis ce matin et je dois partir": "french",
		"La impresora no funciona desde esta mañana y la necesito":      "spanish",
		"printer broken": "english",
		"打印机无法连接":        "english",
	} {
		require.Equal(t, want, detect(tokenise(text)).name, text)
	}
}
