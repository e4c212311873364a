package session

import (
	"slices"
	"time"
)

// Cause is why a session was probably logged out.
type Cause string

// The causes, in the order in which they are considered: what WhatsApp said itself comes first.
const (
	CauseReplaced       Cause = "replaced_by_another_connection"
	CauseOutdated       Cause = "client_outdated"
	CauseBanned         Cause = "banned"
	CausePhoneOffline   Cause = "phone_offline_too_long"
	CauseNewContacts    Cause = "restricted_after_new_contacts"
	CauseSharedAddress  Cause = "several_sessions_on_one_address"
	CauseUnlinkedByUser Cause = "unlinked_by_user"
	CauseUnknown        Cause = "unknown"
)

// Causes lists every cause, in the order of their declaration.
func Causes() []Cause {
	return []Cause{CauseReplaced, CauseOutdated, CauseBanned, CausePhoneOffline, CauseNewContacts, CauseSharedAddress, CauseUnlinkedByUser, CauseUnknown}
}

const (
	// manyNewContacts is how many first messages to strangers within an hour make them a likely cause, if they were at least a third of all: people
	// report bans after 50 to 100 of them a day, and after five in a burst (peers.md §2.2).
	manyNewContacts = 20
	// signsLast is how long before the end a sign of them may lie.
	signsLast = 24 * time.Hour
	// manyBeside is how many other sessions on one address make it a likely cause: the origin system's limit was six in all (design.md §10).
	manyBeside = 5
	// unlinkedOffline is how long a phone has to be offline for WhatsApp to unlink its devices, less a day for the clock of its last sign.
	unlinkedOffline = 13 * 24 * time.Hour
)

// Diagnosis says why a session ended, as far as that can be told from here.
type Diagnosis struct {
	// Entry is the end that is explained.
	Entry HistoryEntry
	Cause Cause
	// Guess: the cause is concluded from what happened around the end. Else WhatsApp said so itself.
	Guess bool
	// Evidence are the entries that the cause was concluded from, oldest first.
	Evidence []HistoryEntry
}

// Diagnose explains the last end in a session's history. It gives false when it did not end, or came back since.
func Diagnose(s Session, history History) (Diagnosis, bool) {
	last := -1
	for i, entry := range history.Entries {
		switch entry.Kind {
		case EntryEnded:
			last = i
		case EntryConnected, EntryLinked:
			last = -1
		case EntryDisconnected, EntryStreamError, EntryRestricted, EntryUnrestricted, EntrySends:
		}
	}
	if last < 0 {
		return Diagnosis{}, false
	}
	end := history.Entries[last]
	diagnosis := Diagnosis{Entry: end, Guess: true, Evidence: []HistoryEntry{end}}
	switch end.Reason {
	case ReasonReplaced:
		diagnosis.Cause, diagnosis.Guess = CauseReplaced, false
	case ReasonOutdated:
		diagnosis.Cause, diagnosis.Guess = CauseOutdated, false
	case ReasonBanned, ReasonTemporaryBan:
		diagnosis.Cause, diagnosis.Guess = CauseBanned, false
	case ReasonRemoved, ReasonLoggedOut:
		diagnosis.Cause, diagnosis.Evidence = guess(s, history.Entries[:last+1])
	default:
		diagnosis.Cause = CauseUnknown
	}
	return diagnosis, true
}

// guess concludes why a device was removed. WhatsApp says the same whether a person removed it or WhatsApp itself did.
func guess(s Session, entries []HistoryEntry) (Cause, []HistoryEntry) {
	end := entries[len(entries)-1]
	seen := s.PhoneSeenAt
	if s.LinkedAt.After(seen) {
		seen = s.LinkedAt
	}
	if !seen.IsZero() && end.At.Sub(seen) >= unlinkedOffline {
		return CausePhoneOffline, []HistoryEntry{end}
	}
	signs := slices.DeleteFunc(slices.Clone(entries), func(entry HistoryEntry) bool {
		return end.At.Sub(entry.At) > signsLast || entry.Kind != EntryRestricted && !manyStrangers(entry)
	})
	switch {
	case len(signs) > 0:
		return CauseNewContacts, signs
	case end.Beside >= manyBeside:
		return CauseSharedAddress, []HistoryEntry{end}
	case end.Reason == ReasonRemoved:
		return CauseUnlinkedByUser, []HistoryEntry{end}
	}
	return CauseUnknown, []HistoryEntry{end}
}

func manyStrangers(entry HistoryEntry) bool {
	return entry.SentNew >= manyNewContacts && entry.SentNew*3 >= entry.Sent
}

// advice says what a cause means and what to do next.
var advice = map[Cause]map[Language][2]string{
	CauseReplaced: {
		English: {"The same device was opened by another program.", "Find the other program that uses this session's keys and stop it; the session is opened again by itself."},
		Spanish: {"Otro programa abrió el mismo dispositivo.", "Busque el otro programa que usa las claves de esta sesión y deténgalo; la sesión se abre de nuevo sola."},
	},
	CauseOutdated: {
		English: {"WhatsApp refuses this version of the program.", "Tell the operator to update the program; the session is opened again by itself then."},
		Spanish: {"WhatsApp rechaza esta versión del programa.", "Avise al operador para que actualice el programa; después la sesión se abre de nuevo sola."},
	},
	CauseBanned: {
		English: {"WhatsApp limits or has banned the account.", "Open WhatsApp on the phone: it says until when, and how to ask for a review. Do not link the number anywhere else meanwhile, and write to fewer new contacts afterwards."},
		Spanish: {"WhatsApp limitó o bloqueó la cuenta.", "Abra WhatsApp en el teléfono: dice hasta cuándo y cómo pedir una revisión. Mientras tanto no vincule el número en otro lugar y después escriba a menos personas nuevas."},
	},
	CausePhoneOffline: {
		English: {"The phone was offline for about two weeks, after which WhatsApp unlinks its devices.", "Bring the phone online, open WhatsApp on it, and link it again. Keep it charged and connected."},
		Spanish: {"El teléfono estuvo sin conexión unas dos semanas; después de ese tiempo WhatsApp desvincula sus dispositivos.", "Conecte el teléfono, abra WhatsApp en él y vincúlelo de nuevo. Manténgalo cargado y con conexión."},
	},
	CauseNewContacts: {
		English: {"Many messages went to people who had not written first, or WhatsApp had restricted the account for that.", "Wait until the time that the session gives, link it again, and begin with people who know the number, a few in an hour. That lowers the risk; it does not rule it out."},
		Spanish: {"Se enviaron muchos mensajes a personas que no habían escrito antes, o WhatsApp había restringido la cuenta por eso.", "Espere hasta la hora que indica la sesión, vincúlela de nuevo y empiece con personas que conocen el número, pocas por hora. Eso reduce el riesgo; no lo elimina."},
	},
	CauseSharedAddress: {
		English: {"Several sessions use the same network address.", "Give some of them another egress (a proxy), wait until the time that the session gives, and link it again. That lowers the risk; it does not rule it out."},
		Spanish: {"Varias sesiones usan la misma dirección de red.", "Dé a algunas otra salida (un proxy), espere hasta la hora que indica la sesión y vincúlela de nuevo. Eso reduce el riesgo; no lo elimina."},
	},
	CauseUnlinkedByUser: {
		English: {"Somebody removed the device in the phone's list of linked devices.", "Ask who has the phone. If nobody did it, WhatsApp did: wait until the time that the session gives, then link it again."},
		Spanish: {"Alguien quitó el dispositivo en la lista de dispositivos vinculados del teléfono.", "Pregunte a quien tiene el teléfono. Si nadie lo hizo, fue WhatsApp: espere hasta la hora que indica la sesión y vincúlela de nuevo."},
	},
	CauseUnknown: {
		English: {"Nothing that is known here explains it.", "Open WhatsApp on the phone and look for a message about it; wait until the time that the session gives, then link it again."},
		Spanish: {"Nada de lo que se sabe aquí lo explica.", "Abra WhatsApp en el teléfono y busque un mensaje al respecto; espere hasta la hora que indica la sesión y vincúlela de nuevo."},
	},
}

// Explain says to a person what the cause is and what to do next, in English when the language is not known.
func (c Cause) Explain(language Language) (cause, next string) {
	texts, known := advice[c]
	if !known {
		texts = advice[CauseUnknown]
	}
	text, spoken := texts[language]
	if !spoken {
		text = texts[English]
	}
	return text[0], text[1]
}
