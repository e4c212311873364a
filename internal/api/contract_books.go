package api

import (
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

const (
	storyList  = "lst_0197a1b2-0000-7000-8000-000000000005"
	storyMedia = "med_0197a1b2-0000-7000-8000-000000000006"
)

func contractOfLists() map[string]described {
	list := ListView{ID: storyList, UserID: storyUser, Name: "Pacientes", Columns: []string{"nombre"}, CreatedAt: storyTime(), UpdatedAt: storyTime()}
	imported := ImportView{Added: 2, Rejected: 1, Rejections: []RejectionView{{Row: 3, Column: "telefono", Value: "12", Code: "phone_too_short",
		Reason: "The number is too short; write all of its digits, with the area code"}}}
	badTag := refuses(fault.Invalid, "bad_tag", "A tag is a short text without commas, semicolons and bars")
	return map[string]described{
		"create-list": {tag: "Lists", text: "Makes an empty contact list for a user.",
			body: bodyOf(func(input *createListInput) any {
				input.Body.UserID, input.Body.Name = storyUser, "Pacientes"
				return input.Body
			}),
			answer: list},
		"list-lists":  {tag: "Lists", text: "Lists the contact lists, a page at a time.", answer: listBody[ListView]{Items: []ListView{list}}, refusals: []*fault.Error{badCursor()}},
		"get-list":    {tag: "Lists", text: "Gives a contact list without its contacts.", answer: list, refusals: []*fault.Error{noRecord()}},
		"delete-list": {tag: "Lists", text: "Deletes a contact list with its contacts. Campaigns that were planned from it keep their recipients.", refusals: []*fault.Error{noRecord()}},
		"list-contacts": {tag: "Lists", text: "Lists the contacts of a list, a page at a time.",
			answer:   listBody[ContactView]{Items: []ContactView{{Phone: "+5491155550101", Fields: map[string]string{"nombre": "Lucía"}, Tags: []string{"control"}}}},
			refusals: []*fault.Error{noRecord(), badCursor()}},
		"add-contacts": {tag: "Lists", text: "Adds contacts to a list. A number that is in it is replaced; one that cannot be written to is refused and named.",
			body: bodyOf(func(input *addContactsInput) any {
				input.Body.Contacts, input.Body.Tags = []RecipientSpec{{Phone: "+54 9 11 5555-0101", Fields: map[string]string{"nombre": "Lucía"}}}, []string{"control"}
				return input.Body
			}),
			answer: imported, refusals: append(badPeople(), noRecord(), badTag)},
		"upload-contacts": {tag: "Lists", text: "Adds the contacts of a spreadsheet or a CSV file to a list.",
			body: object{"file": "nombre,telefono\nLucía,+54 9 11 5555-0101\n", "tags": "control"}, answer: imported, refusals: append(badFile(), noRecord(), badTag)},
		"remove-contact": {tag: "Lists", text: "Takes a contact out of a list.", refusals: append(badPhone(), noRecord(), refuses(fault.NotFound, "no_contact", "The list has no contact with this number"))},
	}
}

// badPhone is what is refused about one number.
func badPhone() []*fault.Error {
	return []*fault.Error{
		refuses(fault.Invalid, "phone_not_a_number", "This is not a phone number; write its digits, best with the country code, such as +54 9 11 …"),
		refuses(fault.Invalid, "phone_too_short", "The number is too short; write all of its digits, with the area code"),
		refuses(fault.Invalid, "phone_too_long", "The number is too long; write one number only, and all of it once"),
		refuses(fault.Invalid, "phone_missing", "The phone number is missing; add it"),
		refuses(fault.Invalid, "phone_rounded", "A spreadsheet rounded this number; format the column as text and type it again"),
		refuses(fault.Invalid, "phone_area_code_missing", "The area code is missing; write it before the 15, such as 11 15 … or 351 15 …"),
		refuses(fault.Invalid, "phone_invalid", "No country has this code; check the digits after the plus sign"),
	}
}

func contractOfMedia() map[string]described {
	media := MediaView{ID: storyMedia, Kind: campaign.Image, MIME: "image/jpeg", Name: "mapa.jpg", Size: 48213,
		SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", CreatedAt: storyTime()}
	refused := []*fault.Error{
		refuses(fault.Invalid, "media_empty", "The file is empty; choose another one"),
		refuses(fault.Invalid, "media_type_refused", "The file is text/html, and WhatsApp takes as image: image/jpeg, image/png; convert it, or send it as a document"),
		refuses(fault.TooLarge, "media_too_large", "WhatsApp takes images of up to 16 MB; choose a smaller file"),
	}
	return map[string]described{
		"upload-media": {tag: "Media", text: "Keeps a file for messages. What it is, is found out from its content.", body: object{"file": "…the bytes of a JPEG…", "kind": "image"}, answer: media, refusals: refused},
		"fetch-media": {tag: "Media", text: "Takes a file from a public address on the web, with three redirects at most.",
			body: bodyOf(func(input *fetchMediaInput) any {
				input.Body.URL, input.Body.Kind = "https://files.example/mapa.jpg", campaign.Image
				return input.Body
			}),
			answer: media,
			refusals: append(refused,
				refuses(fault.Invalid, "media_url_invalid", "The address must begin with https:// or http://, and have no password"),
				refuses(fault.Invalid, "media_url_forbidden", "The address is not a public one; upload the file instead"),
				refuses(fault.Invalid, "media_url_unreachable", "Nothing answers there, or not in time; check the address, or upload the file instead"),
				refuses(fault.Invalid, "media_url_status", "The address answers with the status 404 instead of a file"))},
		"get-media":    {tag: "Media", text: "Gives what is known of a file, not the file itself.", answer: media, refusals: []*fault.Error{noRecord()}},
		"delete-media": {tag: "Media", text: "Deletes a file. A campaign that was to send it fails for the recipients that are left.", refusals: []*fault.Error{noRecord()}},
	}
}

func contractOfConsent() map[string]described {
	imported := ImportView{Added: 1}
	return map[string]described{
		"list-suppressions": {tag: "Consent", text: "Lists the numbers that are not written to, whoever asks: those of people who opted out, and those that an operator blocked.",
			answer:   listBody[SuppressionView]{Items: []SuppressionView{{Phone: "+5491155550109", Reason: campaign.OptedOut, Source: "contact", CreatedAt: storyTime()}}},
			refusals: []*fault.Error{badCursor()}},
		"add-suppressions": {tag: "Consent", text: "Stops writing to numbers from now on, also in campaigns that run. A number that is in the list keeps its reason.",
			body: bodyOf(func(input *addSuppressionsInput) any {
				input.Body.Phones, input.Body.Source = []string{"+54 9 11 5555-0109"}, "recepción"
				return input.Body
			}),
			answer: imported, refusals: badPeople()},
		"upload-suppressions": {tag: "Consent", text: "Stops writing to the numbers of a spreadsheet or a CSV file.",
			body: object{"file": "telefono\n+54 9 11 5555-0109\n", "reason": "opt_out"}, answer: imported, refusals: badFile()},
		"export-suppressions": {tag: "Consent", text: "Gives all numbers that are not written to as CSV.",
			answer: "phone,reason,source,created_at\n+5491155550109,opt_out,contact,2026-03-02T12:00:00Z\n"},
		"remove-suppression": {tag: "Consent", text: "Lets a number be written to again. Do it only when the person asked for it: the audit keeps that it was done.", refusals: append(badPhone(), noRecord())},
		"list-audit": {tag: "Consent", text: "Lists what must be provable later, newest first: opt-outs, deletions, repairs of the queue, webhooks.",
			answer:   listBody[AuditView]{Items: []AuditView{{At: after(time.Hour), Action: "suppression.added", Actor: "api", Subject: "+5491155550109", Detail: "opt_out, contact"}}},
			refusals: []*fault.Error{badCursor()}},
	}
}
