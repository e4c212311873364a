package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// terminalQuietZone is the border in modules: two are enough on a screen, and four make the code too tall for a small terminal.
const terminalQuietZone = 2

// writeQR draws a code with half blocks, two modules a character, light on dark reversed so that it scans on dark terminals too.
func writeQR(out io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L, qr.Unicode)
	if err != nil {
		return errors.New("the QR text cannot be drawn") // the cause could hold the secret text
	}
	side := code.Bounds().Dx()
	var drawn strings.Builder
	for y := -terminalQuietZone; y < side+terminalQuietZone; y += 2 {
		for x := -terminalQuietZone; x < side+terminalQuietZone; x++ {
			drawn.WriteString(halfBlock(isDark(code, x, y), isDark(code, x, y+1)))
		}
		drawn.WriteByte('\n')
	}
	if _, err := io.WriteString(out, drawn.String()); err != nil {
		return fmt.Errorf("write QR: %w", err)
	}
	return nil
}

func isDark(code barcode.Barcode, x, y int) bool {
	side := code.Bounds().Dx()
	if x < 0 || y < 0 || x >= side || y >= side {
		return false
	}
	red, _, _, _ := code.At(x, y).RGBA()
	return red == 0
}

// halfBlock gives the character for two modules, one above the other; what is light on paper is drawn.
func halfBlock(topDark, bottomDark bool) string {
	switch {
	case topDark && bottomDark:
		return " "
	case topDark:
		return "▄"
	case bottomDark:
		return "▀"
	}
	return "█"
}
