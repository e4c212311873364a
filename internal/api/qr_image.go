package api

import (
	"image"
	"image/color"

	"github.com/boombuler/barcode"
)

// quietZone is the white border that a scanner needs, in modules (ISO/IEC 18004).
const quietZone = 4

// bordered is a code with its quiet zone around it; the library draws none.
type bordered struct{ barcode.Barcode }

func withQuietZone(code barcode.Barcode) barcode.Barcode { return bordered{code} }

// Bounds implements image.Image.
func (b bordered) Bounds() image.Rectangle {
	inner := b.Barcode.Bounds()
	return image.Rect(0, 0, inner.Dx()+2*quietZone, inner.Dy()+2*quietZone)
}

// At implements image.Image.
func (b bordered) At(x, y int) color.Color {
	inner := b.Barcode.Bounds()
	point := image.Pt(x-quietZone+inner.Min.X, y-quietZone+inner.Min.Y)
	if !point.In(inner) {
		return color.White
	}
	return b.Barcode.At(point.X, point.Y)
}
