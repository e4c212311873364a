package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

const (
	storyMessage = "msg_0197a1b2-0000-7000-8000-000000000004"
	storyText    = "Hola {{nombre}}, tu turno es mañana a las {{hora}}."
	storyCSV     = "nombre,telefono,hora\nLucía,+54 9 11 5555-0101,10:30\nMateo,+54 9 11 5555-0102,11:00\n"
)

// storySpec is what the story's campaign is to be.
func storySpec() CampaignSpec {
	return CampaignSpec{SessionID: storySession, Name: "Turnos del martes", Text: storyText, Hours: &HoursSpec{TimeZone: "America/Argentina/Buenos_Aires", From: "09:00", To: "20:00"}}
}

func storyAudience() AudienceSpec {
	return AudienceSpec{Recipients: []RecipientSpec{
		{Phone: "+54 9 11 5555-0101", Fields: map[string]string{"nombre": "Lucía", "hora": "10:30"}},
		{Phone: "+54 9 11 5555-0102", Fields: map[string]string{"nombre": "Mateo", "hora": "11:00"}}}}
}

func storyForm() object {
	return object{"file": storyCSV, "session_id": storySession, "name": "Turnos del martes", "text": storyText, "settings": `{"session_id":"` + storySession + `","typing":true}`}
}

// storyView is the story's campaign in one of its states.
func storyView(state campaign.State) CampaignView {
	view := CampaignView{ID: storyCampaign, SessionID: storySession, UserID: storyUser, Name: "Turnos del martes", Text: storyText, State: state, Recipients: 2,
		Settings: SettingsView{Hours: storySpec().Hours}, Counts: &CountsView{Pending: 2}, CreatedAt: storyTime()}
	switch state { //nolint:exhaustive // the others have nothing to add
	case campaign.Running, campaign.Paused:
		view.StartedAt, view.Counts = pointer(after(time.Second)), &CountsView{Pending: 1, Sent: 1}
	case campaign.Cancelled:
		view.StartedAt, view.EndedAt, view.Counts = pointer(after(time.Second)), pointer(after(time.Minute)), &CountsView{Pending: 1, Read: 1}
	case campaign.Scheduled:
		view.Settings.ScheduledAt = pointer(after(24 * time.Hour))
	}
	return view
}

// badCampaign is what is refused about what a campaign says, but for its audience.
func badCampaign() []*fault.Error {
	return append(badLimits(),
		refuses(fault.NotFound, "no_session", "There is no such session; it may have been deleted"),
		refuses(fault.Conflict, "session_not_linked", "The session is not linked to a phone; link it first"),
		refuses(fault.Invalid, "text_empty", "The message has no text; write one"),
		refuses(fault.Invalid, "text_too_long", "The message has 70000 characters and WhatsApp takes 65536; shorten it"),
		refuses(fault.Invalid, "unknown_placeholder", "The audience has no column for the placeholder {{fecha}}"),
		refuses(fault.Invalid, "unknown_column", `The placeholder {{fecha}} is to be the column "dia", which there is not`),
		refuses(fault.Invalid, "text_not_utf8", "The message is not valid UTF-8; save it as UTF-8"),
		refuses(fault.Invalid, "too_many_variants", "There are 30 further texts and at most 20 are taken; remove some"),
		refuses(fault.Invalid, "too_many_placeholders", "The message has more than 200 placeholders; remove some"),
		refuses(fault.Invalid, "placeholder_without_name", "A placeholder has no name; write {{nombre}}"),
		refuses(fault.Invalid, "placeholder_not_closed", "A placeholder begins with {{ and has no }}"),
		refuses(fault.Invalid, "audio_without_text", "WhatsApp shows no text with a sound; leave the text out, or send the file as a document"),
		refuses(fault.Invalid, "no_media", "There is no such file; upload it first"),
		refuses(fault.Invalid, "no_link", "There is no link in the text that a preview could be of; turn link_preview off"),
		refuses(fault.Invalid, "scheduled_too_late", "A campaign begins within a year; choose an earlier time"),
		refuses(fault.Invalid, "unknown_time_zone", "The time zone is not known; use a name such as America/Argentina/Buenos_Aires"),
		refuses(fault.Invalid, "bad_hours", "The hours need a beginning and an end that differ, such as 09:00 and 20:00"),
		refuses(fault.Invalid, "bad_weekday", `"lunes" is no day of the week; write mon, tue, wed, thu, fri, sat, sun`))
}

// badList is what is refused about an audience in a body, badFile about one in a file.
func badList() []*fault.Error {
	return append(badPeople(), refuses(fault.Invalid, "one_audience", "Give either recipients or a list_id"), noRecord())
}

// badPeople is what is refused about people that are listed.
func badPeople() []*fault.Error {
	return []*fault.Error{
		unknownRegion(),
		refuses(fault.Invalid, "audience_empty", "There are no recipients; list at least one"),
		refuses(fault.Invalid, "too_many_columns", "The recipients have more than 256 fields; leave out those that the message does not use"),
		refuses(fault.Invalid, "column_name_too_long", "The name of a field is too long; shorten it"),
	}
}

func unknownRegion() *fault.Error {
	return refuses(fault.Invalid, "unknown_region", "The default region must be the two letters of a country, such as AR or MX")
}

func badFile() []*fault.Error {
	return []*fault.Error{
		unknownRegion(),
		refuses(fault.Invalid, "audience_empty", "The file is empty; its first row must name the columns"),
		refuses(fault.Invalid, "audience_not_text", "The file is not text; save the audience as CSV in UTF-8 and send that"),
		refuses(fault.Invalid, "spreadsheet_unreadable", "The spreadsheet cannot be read; save it anew as XLSX without a password, or as CSV"),
		refuses(fault.Invalid, "audience_is_spreadsheet", "The file is an old spreadsheet (XLS or ODS); save it as XLSX or CSV and send that"),
		refuses(fault.Invalid, "audience_is_utf16", "The file is UTF-16 text; save it as CSV in UTF-8 and send that"),
		refuses(fault.Invalid, "delimiter_unknown", "The file's first line names a delimiter that is not known; use a comma, semicolon, tab or bar"),
		refuses(fault.Invalid, "quote_not_closed", "A quotation mark opens a field and none closes it; close it, or write it twice"),
		refuses(fault.Invalid, "row_misquoted", "A quotation mark stands in the middle of a field; write it twice, or leave it out"),
		refuses(fault.Invalid, "row_too_long", "A row is too long; a quotation mark may be open"),
		refuses(fault.Invalid, "too_many_columns", "The file has more than 256 columns; leave out those that the message does not use"),
		refuses(fault.Invalid, "column_name_too_long", "The name of a column is too long; shorten it"),
		refuses(fault.Invalid, "column_twice", `Columns 1 and 2 are both called "nombre"; rename one`),
		refuses(fault.Invalid, "header_missing", "The first row holds data; put a row with the names of the columns above it, such as nombre, telefono"),
		refuses(fault.Invalid, "phone_column_missing", "No column holds phone numbers. The columns are: nombre, hora"),
		refuses(fault.TooLarge, "spreadsheet_too_large", "The spreadsheet is too large; save it as CSV"),
		refuses(fault.TooLarge, "audience_too_long", "The audience has more than 1000000 rows; split it"),
	}
}

func noRecipients() *fault.Error {
	return refuses(fault.Invalid, "no_recipients", "No row of the audience can be written to; correct the rows and send it again").
		WithDetails(fault.Detail{Location: "row 2, column telefono", Reason: "The number is too short; write all of its digits, with the area code"})
}

func badSettings() *fault.Error {
	return refuses(fault.Invalid, "settings_unreadable", "The settings are not the JSON of a campaign; see its schema")
}

func together(groups ...[]*fault.Error) (all []*fault.Error) {
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

func contractOfCampaigns() map[string]described {
	preview := PreviewView{Columns: []string{"nombre", "telefono", "hora"}, PhoneColumn: "telefono", Rows: 2, Valid: 2, OnWhatsApp: 2, NewContacts: 1,
		Samples: []SampleView{{Row: 2, Phone: "+5491155550101", Text: "Hola Lucía, tu turno es mañana a las 10:30."}}, StartsAt: storyTime(), EndsAt: after(30 * time.Second)}
	listed := storyView(campaign.Running)
	listed.Counts = nil
	return map[string]described{
		"create-campaign": {tag: "Campaigns",
			text: "Plans a campaign, one delivery for each recipient, and starts it unless it is a draft or has its time later. A row that cannot be written to is refused and listed; the others are sent.",
			body: bodyOf(func(input *createCampaignInput) any {
				input.Body.CampaignSpec, input.Body.AudienceSpec = storySpec(), storyAudience()
				return input.Body
			}),
			answer: storyView(campaign.Queued), refusals: append(together(badCampaign(), badList()), noRecipients())},
		"upload-campaign": {tag: "Campaigns", text: "Does what create-campaign does with the recipients of a file, which is read as it arrives: a million rows are fine.",
			body: storyForm(), answer: storyView(campaign.Queued), refusals: append(together(badCampaign(), badFile()), noRecipients(), badSettings())},
		"preview-campaign": {tag: "Campaigns",
			text: "Says what a campaign would be: the messages of the first recipients, the rows that would be refused, how many have WhatsApp, and when it would end. Nothing is stored or sent.",
			body: bodyOf(func(input *previewInput) any {
				input.Body.CampaignSpec, input.Body.AudienceSpec, input.Body.PreviewSpec = storySpec(), storyAudience(), PreviewSpec{Samples: 1}
				return input.Body
			}),
			answer: preview, refusals: together(badCampaign(), badList())},
		"preview-campaign-upload": {tag: "Campaigns", text: "Does what preview-campaign does with the recipients of a file.",
			body: object{"file": storyCSV, "session_id": storySession, "text": storyText, "samples": 1}, answer: preview,
			refusals: append(together(badCampaign(), badFile()), badSettings())},
		"list-campaigns": {tag: "Campaigns", text: "Lists campaigns without their counts, a page at a time. Single messages are not among them.",
			answer: listBody[CampaignView]{Items: []CampaignView{listed}}, refusals: []*fault.Error{badCursor()}},
		"get-campaign": {tag: "Campaigns", text: "Gives a campaign with how many deliveries are in each state. They add up to the size of the plan.", answer: storyView(campaign.Running),
			refusals: []*fault.Error{noRecord()}},
		"edit-campaign": {tag: "Campaigns", text: "Changes a draft or a scheduled campaign. What is left out stays, and so do its recipients: another audience is another campaign.",
			body: bodyOf(func(input *editCampaignInput) any {
				input.Body.Name, input.Body.Text = pointer("Turnos del miércoles"), pointer("Hola {{nombre}}, te esperamos el miércoles.")
				return input.Body
			}),
			answer: storyView(campaign.Draft),
			refusals: append(together(badCampaign(), refusedBut([]campaign.State{campaign.Draft, campaign.Scheduled}, "only a draft or a scheduled one is edited. Clone it instead")),
				noRecord(), changedMeanwhile())},
		"delete-campaign": {tag: "Campaigns", text: "Deletes a draft, or a campaign that has ended, with its recipients. The audit keeps that it was, and what came of it.",
			refusals: append(refusedBut([]campaign.State{campaign.Draft, campaign.Completed, campaign.Cancelled, campaign.Failed}, "cancel it first"), noRecord())},
	}
}

// refusedIn lists the states in which a campaign refuses all of some events, as the table of transitions has it.
func refusedIn(wanted ...campaign.Event) (all []*fault.Error) {
	for _, state := range campaign.States() {
		var refusal error
		for _, event := range wanted {
			if _, refusal = campaign.Apply(campaign.Campaign{State: state}, event, storyTime()); refusal == nil {
				break
			}
		}
		if refusal != nil {
			all = append(all, fault.As(refusal))
		}
	}
	return all
}

// refusedBut lists the states that are not among some, in which something is refused.
func refusedBut(allowed []campaign.State, advice string) (all []*fault.Error) {
	for _, state := range campaign.States() {
		if !slices.Contains(allowed, state) {
			all = append(all, refuses(fault.Conflict, "campaign_"+string(state), fmt.Sprintf("The campaign is %s; %s", state, advice)))
		}
	}
	return all
}

func contractOfControl() map[string]described {
	change := func(events ...campaign.Event) []*fault.Error {
		return append(refusedIn(events...), noRecord(), changedMeanwhile())
	}
	notPlanned := refuses(fault.Conflict, "campaign_not_planned", "The campaign was never planned to its end; delete it and create it again")
	return map[string]described{
		"pause-campaign":  {tag: "Campaigns", text: "Holds a campaign before its next message. It frees its place among the campaigns that run.", answer: storyView(campaign.Paused), refusals: change(campaign.Pause)},
		"resume-campaign": {tag: "Campaigns", text: "Goes on with a paused campaign where it stopped.", answer: storyView(campaign.Queued), refusals: change(campaign.Resume)},
		"cancel-campaign": {tag: "Campaigns", text: "Stops a campaign for good before its next message. What was sent stays in its results.", answer: storyView(campaign.Cancelled), refusals: change(campaign.Cancel)},
		"start-campaign":  {tag: "Campaigns", text: "Starts a draft, or a scheduled campaign before its time.", answer: storyView(campaign.Queued), refusals: append(change(campaign.Queue), notPlanned)},
		"schedule-campaign": {tag: "Campaigns", text: "Says when a draft or a scheduled campaign begins.",
			body: bodyOf(func(input *scheduleInput) any {
				input.Body.At = after(24 * time.Hour)
				return input.Body
			}),
			answer:   storyView(campaign.Scheduled),
			refusals: append(change(campaign.Schedule), notPlanned, refuses(fault.Invalid, "bad_schedule", "The time must be in the future, and within a year"))},
		"retry-campaign": {tag: "Campaigns", text: "Opens what failed again and lets the campaign run for it. Whoever has the message is not written to again.",
			body: bodyOf(func(input *retryInput) any {
				input.Body.Scope = "failed"
				return input.Body
			}),
			answer: storyView(campaign.Queued), refusals: append(change(campaign.Retry), refuses(fault.Conflict, "nothing_to_retry", "No recipient of this campaign is failed"))},
		"clone-campaign": {tag: "Campaigns", text: "Makes a draft with the same text, settings and recipients, or those of them whose delivery is in some states.",
			body: bodyOf(func(input *cloneInput) any {
				input.Body.Name, input.Body.States = "Turnos, otra vez", []campaign.DeliveryState{campaign.FailedDelivery}
				return input.Body
			}),
			answer: storyView(campaign.Draft), refusals: append(badCampaign(), noRecord(), noRecipients(), changedMeanwhile())},
	}
}

func contractOfResults() map[string]described {
	delivery := DeliveryView{ID: "3EB0A1B2C3D4E5F60718", Sequence: 1, Phone: "+5491155550101", State: campaign.Read, Attempts: 1,
		SentAt: pointer(after(2 * time.Second)), DeliveredAt: pointer(after(3 * time.Second)), ReadAt: pointer(after(time.Minute))}
	listing := []*fault.Error{noRecord(), badCursor()}
	gone := []*fault.Error{noRecord()}
	return map[string]described{
		"list-deliveries": {tag: "Results", text: "Lists what happened to each recipient, in the order of sending, a page at a time.", answer: listBody[DeliveryView]{Items: []DeliveryView{delivery}}, refusals: listing},
		"export-deliveries-csv": {tag: "Results", text: "Gives what happened to each recipient with the fields of their row as CSV in UTF-8 with a byte order mark. No cell is run as a formula.",
			answer:   "row,phone,nombre,hora,state,sent_at,delivered_at,read_at,replied_at,class,code,reason,attempts,message_id\n1,+5491155550101,Lucía,10:30,read,2026-03-02T12:00:02Z,2026-03-02T12:00:03Z,2026-03-02T12:01:00Z,,,,,1,3EB0A1B2C3D4E5F60718\n",
			refusals: gone},
		"export-deliveries-xlsx": {tag: "Results", text: "Gives the same as a spreadsheet in which every cell is text, so that no number is rounded.", refusals: gone},
		"list-rejections": {tag: "Results", text: "Lists the rows of the audience that were refused, with the reason.",
			answer: listBody[RejectionView]{Items: []RejectionView{{Row: 3, Column: "telefono", Value: "12", Code: "phone_too_short",
				Reason: "The number is too short; write all of its digits, with the area code"}}}, refusals: listing},
		"export-rejections": {tag: "Results", text: "Gives the refused rows as CSV, to be corrected and sent again.",
			answer: "row,column,value,code,reason\n3,telefono,12,phone_too_short,\"The number is too short; write all of its digits, with the area code\"\n", refusals: gone},
		"list-replies": {tag: "Results", text: "Lists what recipients wrote back.",
			answer:   listBody[ReplyView]{Items: []ReplyView{{DeliveryID: delivery.ID, Phone: delivery.Phone, Text: "¡Gracias!", At: after(2 * time.Minute)}}},
			refusals: listing},
	}
}

func contractOfMessages() map[string]described {
	message := MessageView{ID: storyMessage, MessageID: "3EB0A1B2C3D4E5F60719", SessionID: storySession, Phone: "+5491155550101",
		State: campaign.Pending, CreatedAt: storyTime()}
	return map[string]described{
		"send-message": {tag: "Messages",
			text: "Sends one message at the session's pace, at any time of the day unless hours says otherwise. Give it an Idempotency-Key: then it is sent once, however often it is asked for.",
			body: bodyOf(func(input *sendMessageInput) any {
				input.Body.Phone, input.Body.Text = "+54 9 11 5555-0101", "Su turno está confirmado."
				return input.Body
			}),
			answer: message, refusals: append(badCampaign(), noRecipients(), noRecord())},
		"get-message": {tag: "Messages", text: "Gives what happened to a single message.", answer: message, refusals: []*fault.Error{noRecord()}},
	}
}
