package synthesis

import (
	"strings"

	"aiagents/modules/enhancement/evidence"
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// tradeTerms are words with digits that name techniques, not things of this desk.
var tradeTerms = set(`ipv4 ipv6 utf-8 utf8 utf-16 x64 x86 64-bit 32-bit 2fa mfa oauth2 oauth2.0 sha1 sha-1 sha256 sha-256 md5 3des h264 h265
	24/7 24x7 http/1.1 http/2 p2p s/mime base64 a/c n/a i/o l2tp ikev1 ikev2 smbv1 smbv2 smbv3 smb1 smb2 smb3 802.1x wpa2 wpa3 ws2016 m365 o365
	ext4 ntlmv1 ntlmv2 snmpv2 snmpv2c snmpv3 nfsv3 nfsv4 pkcs12 p12 log4j raid0 raid1 raid5 raid6 raid10 rj45 2d 3d layer-2 layer-3`)

// acronyms are words in capitals that are no host names.
var acronyms = set(`ASCII BIOS CAPTCHA CHKDSK DHCPV DKIM DMARC EMAIL HTTPS IMAPS IPSEC ISCSI JSON KERBEROS LDAPS LINUX MACOS MYSQL NETBIOS NTLM OAUTH
	ODBC POPS POSIX POWERSHELL RADIUS REGEX ROBOCOPY SFTP SMART SMTPS SNMP SQLITE STARTTLS SYSLOG SYSTEM TACACS TFTP TICKET TODO UEFI UNICODE
	VLANS VMWARE VPNS WEBDAV WINDOWS WINRM WSUS XHTML YAML`)

// units may follow a number without a space, or with a hyphen.
var units = set(`% ms s sec secs min mins h hr hrs d day days hour hours minute minutes second seconds kb mb gb tb pb kib mib gib tib b kbit mbit gbit kbps mbps gbps hz khz mhz ghz
	v kv w kw a ma °c c f mm cm m km k px pt x st nd rd th er ère ten te e º ª bit bits dbm db rpm`)

// fileTypes are name endings that are no top-level domains, so that "services.msc" is not taken for a host.
var fileTypes = set(`exe msc log dll sys bat ps1 cfg conf ini txt xml json ost pst vhdx vmdk evtx dat cmd msi reg csv cpl yml yaml docx xlsx
	tmp bak dit edb mdf ldf cer pfx crt pem pdf lnk`)

// idSuffixes are words that German and Dutch join to a name with a hyphen.
var idSuffixes = set(`server host ticket artikel article dienst service port fehler error code adresse address netz netzwerk subnet vlan based related`)

// instructionLike is text that speaks to a model, asks a person for credentials, sends something to an address or number out
// of a ticket, or runs code from elsewhere. An answer to a technician has no need of it.
var instructionLike = patterns(
	`\b(?:ignor\w*|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|prompt|rule|guideline|above|previous|prior)`,
	`\bignorier\w*\b.{0,40}\b(?:anweisung|regel|vorherig|bisherig|obig)`, `\bignorez\b.{0,40}\b(?:instruction|règle|consigne)`,
	`\bignor[ae]\w*\b.{0,40}\b(?:instruccion|regla)`, `\bnegeer\b.{0,40}\b(?:instructie|opdracht|regel)`,
	`\bsystem ?prompt\b`, `\bdeveloper (?:mode|message)\b`, `\bjailbr`, `\bas an? (?:ai|language model)\b`, `\byou are now\b`, `\bnew instructions?\b`,
	`<\|`, `\[/?inst\]`, `\bpwned\b`,
	`\b(?:send|e-?mail|forward|share|provide|tell|give|post|submit|disclose|reveal|reply with|enter|type)\b.{0,60}\b(?:passwords?|credentials?|passcodes?|otp|mfa codes?|api keys?|private keys?)\b`,
	`\b(?:passwor[td]|kennwort|zugangsdaten)\b.{0,40}\b(?:senden|schicken|mitteilen|weitergeben|verraten|eingeben)\b`,
	`\b(?:sende|schicke|teile|nenne|gib)\w*\b.{0,60}\b(?:passwor[td]|kennwort|zugangsdaten)\b`,
	`\b(?:envoy|communiqu|donn|saisi)\w*\b.{0,60}\bmots? de passe\b`, `\b(?:env[ií]|comparti|introduc)\w*\b.{0,60}\bcontraseñas?\b`,
	`\b(?:stuur|deel|geef)\b.{0,60}\bwachtwoord`,
	`\b(?:send|forward|e-?mail|mail|upload|post|share|sende|senden|schick\w*|envoy\w*|env[ií]\w*|stuur)\b.{0,80}\S@\S`,
	`\b(?:call|dial|phone|text|anrufen|ruf\w*|appel\w*|llam\w*|bel)\b.{0,60}\+?\d[\d ()/-]{6,}\d`,
	`\|\s*(?:ba|z|c)?sh\b`, `\biex\b`, `\binvoke-(?:expression|webrequest)`, `\bencodedcommand\b`, `\bpowershell\b.{0,40}\s-e(?:nc)?\b`, `\bcertutil\b.{0,30}-urlcache`,
	`\bmshta\b`, `\bset-mppreference\b`, `\bnet (?:user|localgroup)\b.{0,60}/add`, `\badd-localgroupmember\b`,
)

// patterns are tried one by one: hardly a sentence has a word of more than one of them.
func patterns(expressions ...string) []*evidence.Pattern {
	all := make([]*evidence.Pattern, len(expressions))
	for i, e := range expressions {
		all[i] = evidence.MustPattern(`(?i)` + e)
	}
	return all
}

// instructionIn returns what in a sentence is like an instruction, if anything is. lower is the sentence in lower case.
func instructionIn(sentence, lower string) string {
	for _, p := range instructionLike {
		if p.Possible(lower) {
			if m := p.FindString(sentence); m != "" {
				return m
			}
		}
	}
	return ""
}
