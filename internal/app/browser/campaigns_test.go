package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/xuri/excelize/v2"

	"github.com/dannsalud/broadcaster/client"
)

// workbook writes a spreadsheet as a person's program does, and gives its path.
func workbook(t *testing.T, rows ...[]any) string {
	t.Helper()
	book := excelize.NewFile()
	for i, row := range rows {
		if err := book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "turnos.xlsx")
	if err := book.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// choose puts a file into the field that a CSS selector finds.
func (p *page) choose(selector, path string) {
	p.t.Helper()
	p.do("choose "+path, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path}))
}

// followed waits for a file that the page offers and gives what it holds, asked for as the browser would.
func (p *page) followed(selector string) string {
	p.t.Helper()
	return evaluate[string](p, fmt.Sprintf(`fetch(document.querySelector(%q).href).then((answer) => answer.text())`, selector))
}

// writeMessage writes a text with a word that no column has, says which column it is, and turns to the next recipient.
func (p *page) writeMessage(unknown, position, next string) {
	p.t.Helper()
	p.fill("text", "Hola {{persona}}, su turno es el {{turno}}.")
	p.see(unknown)
	p.find("select[name='map.persona']")
	p.checkPage("campaign-mapping")
	p.do("say which column it is", chromedp.SetValue(chromedp.CSS("select[name='map.persona']"), "Paciente"))
	evaluate[bool](p, `document.querySelector("select[name='map.persona']").dispatchEvent(new Event("input", { bubbles: true }))`)
	p.see(position)
	p.see("Hola Ana, su turno es el lunes.")
	p.press(next)
	p.see("Hola Bruno, su turno es el martes.")
}

// TestACampaignIsPausedGoesOnAndIsCancelled with the buttons of its page; a copy of it is edited and deleted.
func TestACampaignIsPausedGoesOnAndIsCancelled(t *testing.T) {
	t.Parallel()
	w := start(t)
	id, _ := w.linked("+5491150000001")
	recipients := []client.Recipient{{Phone: "+5491150000021"}, {Phone: "+5491150000022"}}
	made, err := w.api.CreateCampaign(t.Context(), client.NewCampaign{SessionID: id, Name: "Recordatorio", Text: "Hola", Recipients: recipients,
		Settings: client.Settings{Draft: true}})
	if err != nil {
		t.Fatal(err)
	}
	p := w.open("es", "/campaigns/"+made.ID)
	p.see("Es un borrador")
	p.checkPage("campaign-draft")
	p.press("Editar")
	p.find("textarea[name=text]")
	p.checkPage("campaign-edit")
	p.fill("text", "Hola, buen día")
	p.press("Guardar")
	p.see("Los cambios se guardaron.")
	p.see("Hola, buen día")
	p.press("Cambiar la fecha")
	p.fill("at", w.tomorrow()) // with the focus in it, as a person has: what is drawn anew meanwhile must not take it away
	p.press("Programar")
	p.see("Empieza sola en la fecha programada.")
	p.press("Pausar")
	p.see("Alguien la puso en pausa.")
	p.checkPage("campaign-paused")
	p.press("Seguir")
	p.see("Empieza sola en la fecha programada.")
	p.agree()
	p.press("Cancelar la campaña")
	p.see("La campaña se canceló.")
	p.press("Copiar como borrador")
	p.see("Este es el borrador nuevo.")
	p.agree()
	p.press("Eliminar")
	p.see("La campaña se eliminó.")
	if found, err := w.api.Campaign(t.Context(), made.ID); err != nil || found.State != "cancelled" || found.Text != "Hola, buen día" {
		t.Errorf("the first campaign is %+v, %v", found, err)
	}
}

// TestACampaignKeepsItsStateInAnotherLanguage, at a step that was filled in and not sent on.
func TestACampaignKeepsItsStateInAnotherLanguage(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.linked("+5491150000001")
	p := w.open("es", "/campaigns/new")
	p.fill("name", "Turnos de mayo")
	p.press("English")
	p.see("New campaign")
	if name := evaluate[string](p, `document.querySelector("[name=name]").value`); name != "Turnos de mayo" {
		t.Errorf("the campaign is called %q", name)
	}
	p.do("type numbers", clickOn(`input[name=people][value=numbers]`))
	p.fill("numbers", "11 5000 0011, Ana")
	p.press("Continue")
	p.see("1 row was taken")
	p.press("Español")
	p.see("Se tomó 1 fila")
	p.press("Continuar")
	p.fill("text", "Hola {{nombre}}")
	p.press("English")
	p.see("Hola Ana")
	if text := evaluate[string](p, `document.querySelector("textarea[name=text]").value`); text != "Hola {{nombre}}" {
		t.Errorf("the text is %q", text)
	}
	p.press("Continue")
	p.press("Continue")
	p.press("Continue")
	p.see("1 message will be sent")
	p.press("Español")
	p.see("Se enviará 1 mensaje")
	p.press("Enviar")
	p.see("Terminada")
	p.see("Turnos de mayo")
}

// TestContactsAndOptOuts: a list is filled from a file and looked through; a number is opted out and let in again, and both are on record.
func TestContactsAndOptOuts(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.linked("+5491150000001")
	p := w.open("es", "/contacts")
	p.see("Todavía no hay listas")
	p.checkPage("contacts-empty")
	p.fill("name", "Pacientes")
	p.press("Crear lista")
	p.see("Se creó la lista Pacientes.")
	p.checkPage("contacts-list-empty")
	file := filepath.Join(t.TempDir(), "pacientes.csv")
	if err := os.WriteFile(file, []byte("nombre;telefono;etiquetas\nAna;11 5000 0011;control\nBruno;11 5000 0012;\nNadie;1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.choose("#file", file)
	p.press("Agregar")
	p.see("Se agregaron 2")
	p.see("1 fila rechazada")
	p.see("El número es muy corto.")
	p.checkPage("contacts-imported")
	p.visit(p.path()[:strings.LastIndex(p.path(), "/import")] + "?tag=control")
	p.see("Ana")
	if strings.Contains(p.said(), "Bruno") {
		t.Error("a tag that Bruno does not have shows him")
	}
	p.visit("/opt-outs")
	p.see("Nadie está dado de baja.")
	p.see("BAJA")
	p.fill("source", "Recepción")
	p.fill("numbers", "11 5000 0012")
	p.press("Dejar de escribirles")
	p.see("1 número ya no recibe mensajes.")
	p.checkPage("opt-outs")
	p.press("Quitar la baja")
	p.fill("why", "lo pidió por teléfono")
	p.press("Volver a escribirle")
	p.see("se le puede escribir otra vez")
	p.see("lo pidió por teléfono")
	p.see("Nadie está dado de baja.")
}

// agree answers yes to the questions that the page asks from now on.
func (p *page) agree() {
	p.t.Helper()
	evaluate[bool](p, `(window.confirm = () => true) && true`)
}

// tomorrow is a time of tomorrow as a field of a form takes it.
func (w *world) tomorrow() string {
	return time.Now().Add(24 * time.Hour).Format("2006-01-02T15:04")
}
