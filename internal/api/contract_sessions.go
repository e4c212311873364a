package api

import (
	"net/http"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The names of the story that the examples tell.
const (
	storySession  = "ses_0197a1b2-0000-7000-8000-000000000001"
	storyCampaign = "cmp_0197a1b2-0000-7000-8000-000000000002"
	storyUser     = "ana"
)

func storySessionView() SessionView {
	return SessionView{ID: storySession, UserID: storyUser, Name: "Recepción", State: session.Ready, Phone: "+549••••••••11", Egress: session.EgressDirect,
		CreatedAt: storyTime(), LinkedAt: pointer(after(time.Minute)), PhoneSeenAt: pointer(after(time.Hour))}
}

func contractOfSessions() map[string]described {
	return map[string]described{
		"create-session": {tag: "Sessions",
			text: "Makes a session for a user of the web app. It is not linked to a phone yet: start-link is the next step. A user may have several.",
			body: bodyOf(func(input *createSessionInput) any {
				input.Body.UserID, input.Body.Name = storyUser, "Recepción"
				return input.Body
			}),
			answer: SessionView{ID: storySession, UserID: storyUser, Name: "Recepción", State: session.New, Egress: session.EgressDirect, CreatedAt: storyTime()}},
		"list-sessions": {tag: "Sessions", text: "Lists sessions in the order of their creation, a page at a time.",
			answer: listBody[SessionView]{Items: []SessionView{storySessionView()}, Next: storySession}, refusals: []*fault.Error{badCursor()}},
		"get-session": {tag: "Sessions", text: "Gives a session with its state, the reason for it, and its last link without what is to be scanned.",
			answer: storySessionView(), refusals: []*fault.Error{noRecord()}},
		"get-session-history": {tag: "Sessions", text: "Gives the last 50 things that happened to a session: connections, restrictions, how much it sent, logouts.",
			answer: HistoryView{Entries: []EntryView{
				{At: after(time.Hour), Kind: session.EntryKind("connected"), Egress: session.EgressDirect},
				{At: after(time.Minute), Kind: session.EntryKind("linked"), Egress: session.EgressDirect}}},
			refusals: []*fault.Error{noRecord()}},
		"get-session-diagnosis": {tag: "Sessions", text: "Says why a session was logged out: what WhatsApp said or, marked as a guess, what the events around it suggest, and what to do now.",
			answer: storyDiagnosis(),
			refusals: []*fault.Error{noRecord(), refuses(fault.NotFound, "nothing_to_diagnose",
				"The session has not been logged out since it was last connected, so there is nothing to explain")}},
		"delete-session": {tag: "Sessions",
			text: "Removes a session. One that is linked is first logged out by the worker that holds it, so that it leaves the phone's list of linked devices; until then its state is removing.",
			refusals: []*fault.Error{noRecord(),
				refuses(fault.Conflict, "link_in_progress", "The session is being linked; cancel the link first"),
				refuses(fault.Conflict, "session_has_campaigns", "A campaign of this session has not ended; cancel it or wait until it ends, then delete the session"),
				changedMeanwhile()}},
		"get-limits": {tag: "Sessions", text: "Gives how fast a session sends: what was said of it, and what that comes to with the service's limits and the session's age.",
			answer:   SessionLimitsView{Own: &LimitsSpec{Daily: 500}, Effective: &LimitsSpec{MinGap: 8, MaxGap: 15, Hourly: 60, Daily: 500, DailyNew: 150}},
			refusals: []*fault.Error{noRecord()}},
		"set-limits": {tag: "Sessions", text: "Says how fast a session sends. The whole of what was said before is replaced; an empty body returns to the service's limits.",
			body:     LimitsSpec{Daily: 500},
			answer:   SessionLimitsView{Own: &LimitsSpec{Daily: 500}, Effective: &LimitsSpec{MinGap: 8, MaxGap: 15, Hourly: 60, Daily: 500, DailyNew: 150}},
			refusals: append(badLimits(), noRecord())},
	}
}

func storyDiagnosis() DiagnosisView {
	view := DiagnosisView{At: after(72 * time.Hour), Reason: session.ReasonLoggedOut, Cause: session.Cause("restricted_after_new_contacts"), Guess: true,
		Until: pointer(after(73 * time.Hour)),
		Evidence: []EntryView{{At: after(71 * time.Hour), Kind: session.EntryKind("restricted"), Reason: session.ReasonReachOutLock, Sent: 140, SentNew: 120,
			Egress: session.EgressDirect}}}
	view.Happened = TextView{En: view.Reason.Sentence(session.English), Es: view.Reason.Sentence(session.Spanish)}
	view.Why.En, view.Next.En = view.Cause.Explain(session.English)
	view.Why.Es, view.Next.Es = view.Cause.Explain(session.Spanish)
	return view
}

// changedMeanwhile is what the stores say when two requests change one record again and again at the same moment.
func changedMeanwhile() *fault.Error { return fault.As(store.ErrConflict) }

func badCursor() *fault.Error {
	return refuses(fault.Invalid, "bad_cursor", "The cursor is not one that this list gave; start from the first page")
}

func badLimits() []*fault.Error {
	return []*fault.Error{
		refuses(fault.Invalid, "bad_gap", "The gap between two messages must be at least a second"),
		refuses(fault.Invalid, "bad_limit", "The limits must not be negative, but for -1, which means none; a rest has at most a day"),
	}
}

// storyLink is the link of the story in one of its states.
func storyLink(state session.LinkState) LinkView {
	view := LinkView{ID: "0197a1b2-0000-7000-8000-000000000003", Method: session.MethodQR, State: state, QueuedAt: storyTime()}
	if state == session.LinkQueued {
		view.Queue = &QueueView{Position: 1, EstimatedStartAt: after(2 * time.Second), EstimatedWait: 2, WaitsFor: session.ReasonSpacing}
		return view
	}
	view.Deadline = pointer(after(time.Minute))
	return view
}

func noLink() *fault.Error {
	return refuses(fault.NotFound, "no_link", "This session was never asked to link; start a link first")
}

func noQR() *fault.Error {
	return refuses(fault.NotFound, "no_qr", "There is no QR to scan at the moment; read the link's state")
}

func contractOfLinks() map[string]described {
	shown := storyLink(session.LinkQR)
	shown.Prompt = &PromptView{QR: "2@Zm9v,YmFy,YmF6,cXV4,1", Index: 1, Deadline: after(time.Minute)}
	passkeyNotAsked := refuses(fault.Conflict, "passkey_not_asked", "This answer is for a link in the state passkey_required; read the link's state")
	return map[string]described{
		"start-link": {tag: "Links", also: http.StatusOK, alsoFor: "A link was in progress; this is it",
			text: "Asks for a link. Links run one at a time, spaced on each way out; the answer says where this one stands. A link in progress is answered with 200 as it is, so asking twice is harmless.",
			body: bodyOf(func(input *startLinkInput) any {
				input.Body.Method = session.MethodQR
				return input.Body
			}),
			answer: storyLink(session.LinkQueued),
			refusals: []*fault.Error{noRecord(),
				refuses(fault.Conflict, "session_linked", "The session is linked already; unlink it first to link another phone"),
				refuses(fault.Conflict, "session_removing", "The session is being removed; create another one"),
				refuses(fault.Conflict, string(session.ReasonEgressFull), session.ReasonEgressFull.Sentence(session.English)), changedMeanwhile(),
				refuses(fault.Invalid, "phone_missing", "Linking by code needs the phone's own number"),
				refuses(fault.CoolingDown, string(session.ReasonEgressCooldown), session.ReasonEgressCooldown.Sentence(session.English)).WithAfter(10 * time.Minute),
				refuses(fault.CoolingDown, string(session.ReasonNumberCooldown), session.ReasonNumberCooldown.Sentence(session.English)).WithAfter(24 * time.Hour),
				refuses(fault.CoolingDown, string(session.ReasonCircuitOpen), session.ReasonCircuitOpen.Sentence(session.English)).WithAfter(time.Hour)}},
		"get-link": {tag: "Links", text: "Gives the state of a session's link with what is to be scanned or typed now. The prompt is a secret: whoever scans it owns the link.",
			answer: shown, refusals: []*fault.Error{noRecord(), noLink()}},
		"cancel-link": {tag: "Links", text: "Cancels a link in whatever state it is. One that has ended stays as it ended.", answer: storyLink(session.LinkCancelled),
			refusals: []*fault.Error{noRecord(), noLink(), changedMeanwhile()}},
		"stream-link": {tag: "Links",
			text:     "Sends the link as it is, then again at each change, until it has ended: server-sent events named link, with comments as signs of life between them. A reader that was cut off opens the stream again.",
			answer:   "event: link\ndata: {\"id\":\"0197a1b2-0000-7000-8000-000000000003\",\"method\":\"qr\",\"state\":\"ready\",\"queued_at\":\"2026-03-02T12:00:00Z\"}\n\n",
			refusals: []*fault.Error{noRecord(), noLink()}},
		"stream-events": {tag: "Events",
			text: "Follows what happens, as server-sent events named by their kind. Their ids go up, with holes; a reader that was cut off comes again with the last one as Last-Event-ID and misses " +
				"nothing that is kept. An event named gap says that some is not kept any more, one named slow ends a reader that is too slow. A comment every 15 seconds says that the " +
				"stream is alive. A stream ends after ten minutes, and with its key.",
			answer: "id: 4711\nevent: campaign_changed\ndata: {\"version\":1,\"campaign_id\":\"" + storyCampaign + "\",\"state\":\"completed\"}\n\n",
			refusals: []*fault.Error{
				refuses(fault.Invalid, "bad_event_id", "The last event's id is not one that this API gave; leave it out to begin with what comes now"),
				refuses(fault.Invalid, "unknown_kind", `There are no events of the kind "campaign"; there are campaign_changed, link_changed, message_received`),
				refuses(fault.RetryLater, "queue_unavailable", "This service does not follow events")}},
		"answer-passkey": {tag: "Links", text: "Hands over what the browser answered to WhatsApp's question for a passkey (navigator.credentials.get).",
			body:     storyPasskey(),
			answer:   storyLink(session.LinkPasskeyRequired),
			refusals: []*fault.Error{noRecord(), passkeyNotAsked}},
		"confirm-passkey": {tag: "Links", text: "Says that a person saw the same code on the phone as in the link's prompt.", answer: storyLink(session.LinkPasskeyConfirm),
			refusals: []*fault.Error{noRecord(), passkeyNotAsked}},
		"get-link-qr-png": {tag: "Links", text: "Draws the present QR as a PNG of 512 pixels. It is a secret, and no cache keeps it.", refusals: []*fault.Error{noRecord(), noLink(), noQR()}},
		"get-link-qr-svg": {tag: "Links", text: "Draws the present QR as SVG. It is a secret, and no cache keeps it.",
			answer:   `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 45 45" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h45v45H0z"/><path d="M4 4h1v1h-1z"/></svg>`,
			refusals: []*fault.Error{noRecord(), noLink(), noQR()}},
	}
}

func storyPasskey() PasskeyAnswer {
	answer := PasskeyAnswer{ID: "cGFzc2tleQ", RawID: "cGFzc2tleQ", Type: "public-key"}
	answer.Response.ClientDataJSON, answer.Response.AuthenticatorData, answer.Response.Signature = "e30", "c3Rvcnk", "c2lnbmVk"
	return answer
}

func contractOfEgresses() map[string]described {
	proxied := EgressView{Egress: "proxy-6c1f0a2b", Kind: "proxy", Proxy: "socks5://***@proxy.example:1080"}
	notConfigured := refuses(fault.Conflict, "egress_not_configured",
		"This service cannot keep proxies, because it has no key to seal their passwords with; give it KEYSTORE_KEY")
	sealed := refuses(fault.Internal, "egress_sealed", "The proxy of this session cannot be opened with the configured keys; set it again")
	choosing := []*fault.Error{noRecord(), notConfigured, sealed, changedMeanwhile(),
		refuses(fault.Conflict, "session_removing", "The session is being removed"),
		refuses(fault.Conflict, "link_in_progress", "The session is being linked; cancel the link first, then choose its egress"),
		refuses(fault.Conflict, "egress_is_sticky", "The session is linked, and WhatsApp may log out a device that comes from another address; ask for it with move")}
	state := EgressStateView{ID: session.EgressDirect, Sessions: 2, Capacity: 6, Waiting: 1, LastConnection: pointer(storyTime()), LastLink: pointer(storyTime()),
		NextLinkAt: pointer(after(2 * time.Minute)), Reason: session.ReasonSpacing}
	calm := EgressStateView{ID: session.EgressDirect, Sessions: 2, Capacity: 6}
	return map[string]described{
		"get-egress": {tag: "Egress", text: "Gives the way out of a session. User and password of a proxy are never shown.", answer: proxied, refusals: []*fault.Error{noRecord(), notConfigured, sealed}},
		"set-egress": {tag: "Egress",
			text: "Gives a session a proxy. It is kept sealed, and the session never connects without it. The way of a linked session only changes with move, since WhatsApp may log out a device that comes from another address.",
			body: setEgressBody{Proxy: "socks5://user:password@proxy.example:1080"}, answer: proxied,
			refusals: append(choosing, refuses(fault.Invalid, "bad_egress", `The body cannot be read; it must look like {"proxy": "socks5://user:password@host:1080", "move": false}`),
				refuses(fault.Invalid, "bad_proxy", "The proxy's address cannot be used: it names no host"))},
		"delete-egress": {tag: "Egress", text: "Takes a session's proxy away: it uses the host's own address then.", answer: EgressView{Egress: session.EgressDirect, Kind: "direct"}, refusals: choosing},
		"check-egress": {tag: "Egress", text: "Tries whether WhatsApp answers by a session's way out. The answer is 200 whatever was found: that the way does not work is the result.",
			answer: EgressCheckView{EgressView: proxied, Reachable: true, LatencyMS: 212}, refusals: []*fault.Error{noRecord(), notConfigured, sealed}},
		"list-egresses": {tag: "Egress", text: "Lists the ways out that sessions have, and the direct one, with their links and rests.",
			answer: object{"items": []EgressStateView{state}}},
		"reset-egress": {tag: "Egress", text: "Ends the rest of a way out after logouts, and its circuit breaker. Do it when the reason is understood: the rests protect the accounts.",
			answer: calm, refusals: []*fault.Error{refuses(fault.NotFound, "no_egress", "Nothing is known of this way out; the list of egresses has the names")}},
	}
}
