package session

// Reason is a stable code for why a session or a link is in its state; Sentence says it to a person.
type Reason string

// The reasons. Programs may branch on them; they never change their meaning.
const (
	ReasonNone            Reason = ""
	ReasonQueued          Reason = "waiting_for_turn"
	ReasonSpacing         Reason = "spacing_between_links"
	ReasonQRExpired       Reason = "qr_expired"
	ReasonCancelled       Reason = "cancelled"
	ReasonDuplicate       Reason = "number_already_linked"
	ReasonInvalidIdentity Reason = "device_identity_rejected"
	ReasonPasskeyExpired  Reason = "passkey_expired"
	ReasonPasskeyFailed   Reason = "passkey_failed"
	ReasonNotMultidevice  Reason = "phone_without_multidevice"
	ReasonConnectTimeout  Reason = "connect_timeout"
	ReasonLoginTimeout    Reason = "login_after_pairing_timeout"
	ReasonConnectionLost  Reason = "connection_lost"
	ReasonConnectFailure  Reason = "connect_failure"
	ReasonRemoved         Reason = "device_removed"
	ReasonLoggedOut       Reason = "logged_out"
	ReasonBanned          Reason = "account_banned"
	ReasonTemporaryBan    Reason = "temporary_ban"
	ReasonReachOutLock    Reason = "reach_out_lock"
	ReasonReplaced        Reason = "connection_replaced"
	ReasonOutdated        Reason = "client_outdated"
	ReasonUnlinked        Reason = "unlinked_by_operator"
	ReasonInternal        Reason = "internal_error"
	ReasonNumberCooldown  Reason = "number_cooling_down"
	ReasonEgressCooldown  Reason = "egress_cooling_down"
	ReasonCircuitOpen     Reason = "link_circuit_open"
	ReasonEgressFull      Reason = "egress_full"
	ReasonEgressCrowded   Reason = "egress_crowded"
	ReasonSecondTry       Reason = "second_attempt"
	ReasonPhoneOffline    Reason = "phone_offline"
	ReasonChatQuota       Reason = "new_chat_quota"
	ReasonFewDelivered    Reason = "few_delivered"
)

// Reasons lists every reason but ReasonNone, in the order of their declaration.
func Reasons() []Reason {
	return []Reason{ReasonQueued, ReasonSpacing, ReasonQRExpired, ReasonCancelled, ReasonDuplicate, ReasonInvalidIdentity, ReasonPasskeyExpired,
		ReasonPasskeyFailed, ReasonNotMultidevice, ReasonConnectTimeout, ReasonLoginTimeout, ReasonConnectionLost, ReasonConnectFailure, ReasonRemoved,
		ReasonLoggedOut, ReasonBanned, ReasonTemporaryBan, ReasonReachOutLock, ReasonReplaced, ReasonOutdated, ReasonUnlinked, ReasonInternal,
		ReasonNumberCooldown, ReasonEgressCooldown, ReasonCircuitOpen, ReasonEgressFull, ReasonEgressCrowded, ReasonSecondTry, ReasonPhoneOffline,
		ReasonChatQuota, ReasonFewDelivered}
}

// Language is a language that people are spoken to in.
type Language string

// The languages.
const (
	English Language = "en"
	Spanish Language = "es"
)

// sentences say what happened and what to do.
var sentences = map[Reason]map[Language]string{
	ReasonQueued:          {English: "Another phone is being linked; yours is next in turn.", Spanish: "Se está vinculando otro teléfono; el suyo sigue en la fila."},
	ReasonSpacing:         {English: "Links are spaced out, which lowers the risk of logouts; yours starts by itself.", Spanish: "Las vinculaciones se espacian, lo que reduce el riesgo de cierres de sesión; la suya empieza sola."},
	ReasonQRExpired:       {English: "Nobody scanned the code in time. Start the link again.", Spanish: "Nadie escaneó el código a tiempo. Inicie la vinculación de nuevo."},
	ReasonCancelled:       {English: "The link was cancelled.", Spanish: "La vinculación fue cancelada."},
	ReasonDuplicate:       {English: "This number is linked to another session. Use another phone, or unlink it there.", Spanish: "Este número ya está vinculado a otra sesión. Use otro teléfono o desvincúlelo allí."},
	ReasonInvalidIdentity: {English: "The phone's confirmation could not be verified. Start the link again.", Spanish: "No se pudo verificar la confirmación del teléfono. Inicie la vinculación de nuevo."},
	ReasonPasskeyExpired:  {English: "The passkey was not confirmed in time. Start the link again.", Spanish: "La llave de acceso no se confirmó a tiempo. Inicie la vinculación de nuevo."},
	ReasonPasskeyFailed:   {English: "The passkey was not accepted. Start the link again.", Spanish: "La llave de acceso no fue aceptada. Inicie la vinculación de nuevo."},
	ReasonNotMultidevice:  {English: "The phone's WhatsApp is too old for linked devices. Update it and scan again.", Spanish: "El WhatsApp del teléfono es muy antiguo para dispositivos vinculados. Actualícelo y escanee de nuevo."},
	ReasonConnectTimeout:  {English: "WhatsApp did not answer. Check the network and start the link again.", Spanish: "WhatsApp no respondió. Revise la conexión e inicie la vinculación de nuevo."},
	ReasonLoginTimeout:    {English: "The phone accepted, but WhatsApp did not let the device in. Remove it on the phone and start the link again.", Spanish: "El teléfono aceptó, pero WhatsApp no dejó entrar al dispositivo. Quítelo en el teléfono e inicie la vinculación de nuevo."},
	ReasonConnectionLost:  {English: "The connection broke; it is being opened again.", Spanish: "Se cortó la conexión; se está abriendo de nuevo."},
	ReasonConnectFailure:  {English: "WhatsApp refused the connection; it is tried again later.", Spanish: "WhatsApp rechazó la conexión; se intenta de nuevo más tarde."},
	ReasonRemoved:         {English: "The device was removed from the phone. Link it again.", Spanish: "El dispositivo fue quitado desde el teléfono. Vincúlelo de nuevo."},
	ReasonLoggedOut:       {English: "WhatsApp logged the device out. Wait a while, then link it again.", Spanish: "WhatsApp cerró la sesión del dispositivo. Espere un rato y vincúlelo de nuevo."},
	ReasonBanned:          {English: "WhatsApp no longer accepts this account. Open WhatsApp on the phone to see why.", Spanish: "WhatsApp ya no acepta esta cuenta. Abra WhatsApp en el teléfono para ver por qué."},
	ReasonTemporaryBan:    {English: "WhatsApp blocked the account for some time. Nothing is sent until then.", Spanish: "WhatsApp bloqueó la cuenta por un tiempo. No se envía nada hasta entonces."},
	ReasonReachOutLock:    {English: "WhatsApp does not let the account start new chats for some time. Campaigns wait.", Spanish: "WhatsApp no deja que la cuenta inicie chats nuevos por un tiempo. Las campañas esperan."},
	ReasonReplaced:        {English: "The same device was opened somewhere else. Close it there.", Spanish: "El mismo dispositivo se abrió en otro lugar. Ciérrelo allí."},
	ReasonOutdated:        {English: "WhatsApp asks for a newer version of this program. Tell the operator.", Spanish: "WhatsApp pide una versión más nueva de este programa. Avise al operador."},
	ReasonUnlinked:        {English: "The session was unlinked by an operator.", Spanish: "Un operador desvinculó la sesión."},
	ReasonInternal:        {English: "Something went wrong inside the service. Try again; if it stays, tell the operator.", Spanish: "Algo falló dentro del servicio. Intente de nuevo; si sigue, avise al operador."},
	ReasonNumberCooldown:  {English: "This number was logged out a short while ago. Wait until the time given, then link it again; waiting lowers the risk of another logout.", Spanish: "Este número tuvo un cierre de sesión hace poco. Espere hasta la hora indicada y vincúlelo de nuevo; esperar reduce el riesgo de otro cierre."},
	ReasonEgressCooldown:  {English: "A session on this network address was logged out a short while ago, so links wait until the time given. Wait, or use another egress; it lowers the risk, no more.", Spanish: "Una sesión en esta dirección de red se cerró hace poco, así que las vinculaciones esperan hasta la hora indicada. Espere o use otra salida; solo reduce el riesgo."},
	ReasonCircuitOpen:     {English: "Several sessions on this network address were logged out soon after linking, so no phone is linked there for now. Use another egress, or ask the operator to look and reset it.", Spanish: "Varias sesiones en esta dirección de red se cerraron poco después de vincularse, así que por ahora no se vinculan teléfonos allí. Use otra salida o pida al operador que la revise y la habilite."},
	ReasonEgressFull:      {English: "This network address has as many sessions as it may have. Give the session another egress (a proxy), or unlink one that is not needed.", Spanish: "Esta dirección de red ya tiene todas las sesiones permitidas. Dé a la sesión otra salida (un proxy) o desvincule una que no haga falta."},
	ReasonEgressCrowded:   {English: "This network address has many sessions, which raises the risk of logouts. Another egress (a proxy) for some of them lowers it.", Spanish: "Esta dirección de red tiene muchas sesiones, lo que aumenta el riesgo de cierres de sesión. Otra salida (un proxy) para algunas lo reduce."},
	ReasonPhoneOffline:    {English: "The phone has not been online for many days. Open WhatsApp on it: after about two weeks WhatsApp unlinks the devices of a phone that is offline.", Spanish: "El teléfono no se conecta desde hace muchos días. Abra WhatsApp en él: después de unas dos semanas WhatsApp desvincula los dispositivos de un teléfono sin conexión."},
	ReasonChatQuota:       {English: "The account has used up the new chats that WhatsApp allows for now. Campaigns wait; people who wrote to it before can still be answered from the phone.", Spanish: "La cuenta agotó los chats nuevos que WhatsApp permite por ahora. Las campañas esperan; desde el teléfono se puede seguir respondiendo a quienes ya escribieron."},
	ReasonFewDelivered:    {English: "Few of the sent messages arrived at a phone. WhatsApp may be dropping them: stop, and look at the account on the phone before you go on.", Spanish: "Pocos de los mensajes enviados llegaron a un teléfono. Es posible que WhatsApp los esté descartando: pare y revise la cuenta en el teléfono antes de seguir."},
	ReasonSecondTry:       {English: "The first code did not work; a second one is on its way. Type the new one on the phone.", Spanish: "El primer código no funcionó; ya viene un segundo. Escriba el nuevo en el teléfono."},
}

// Sentence says to a person what happened and what to do, in English when the language is not known. It is empty for ReasonNone.
func (r Reason) Sentence(language Language) string {
	if text := sentences[r][language]; text != "" {
		return text
	}
	return sentences[r][English]
}
