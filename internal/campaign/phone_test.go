package campaign

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestPhoneNumbersAreReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	rows := []struct{ text, region, want string }{
		// Argentina: 9 + area code + number, however it is written.
		{"+54 9 11 5555-0101", "AR", "+5491155550101"},
		{"+5491155550101", "MX", "+5491155550101"},
		{"54 9 11 5555 0101", "AR", "+5491155550101"},
		{"0054 9 11 5555 0101", "AR", "+5491155550101"},
		{"+54 11 5555-0101", "AR", "+5491155550101"},
		{"+54 011 5555-0101", "AR", "+5491155550101"},
		{"+54 9 011 5555-0101", "AR", "+5491155550101"},
		{"011 15-5555-0101", "AR", "+5491155550101"},
		{"(011) 15 5555 0101", "AR", "+5491155550101"},
		{"11 15 5555 0101", "AR", "+5491155550101"},
		{"11 5555 0101", "AR", "+5491155550101"},
		{"1155550101", "AR", "+5491155550101"},
		{"91155550101", "AR", "+5491155550101"},
		{"+54 11 15 5555 0101", "AR", "+5491155550101"},
		{"+54 9 11 15 5555 0101", "AR", "+5491155550101"},
		{"351 15 555-0101", "AR", "+5493515550101"},
		{"0351-15-5550101", "AR", "+5493515550101"},
		{"+54 9 351 15 555 0101", "AR", "+5493515550101"},
		{"(0351) 555-0101", "AR", "+5493515550101"},
		{"2966 15 555010", "AR", "+5492966555010"},
		{"02966 555010", "AR", "+5492966555010"},
		// Mexico: no 1 any more.
		{"+52 1 55 1234 5678", "AR", "+525512345678"},
		{"5215512345678", "MX", "+525512345678"},
		{"044 55 1234 5678", "MX", "+525512345678"},
		{"045 55 1234 5678", "MX", "+525512345678"},
		{"01 55 1234 5678", "MX", "+525512345678"},
		{"55 1234 5678", "MX", "+525512345678"},
		{"+52 55 1234 5678", "MX", "+525512345678"},
		// Brazil: the ninth digit of mobiles, and none for landlines.
		{"+55 11 8765-4321", "AR", "+5511987654321"},
		{"11 8765-4321", "BR", "+5511987654321"},
		{"(11) 98765-4321", "BR", "+5511987654321"},
		{"551187654321", "BR", "+5511987654321"},
		{"+55 11 3456-7890", "BR", "+551134567890"},
		// Elsewhere.
		{"+598 99 123 456", "AR", "+59899123456"},
		{"(+598) 99 123 456", "AR", "+59899123456"},
		{"099 123 456", "UY", "+59899123456"},
		{"612 345 678", "ES", "+34612345678"},
		{"+1 (212) 555-0100", "AR", "+12125550100"},
		{"+39 06 1234 5678", "AR", "+390612345678"},
		// What spreadsheets and chats add.
		{"'+5491155550101", "AR", "+5491155550101"},
		{"5491155550101.0", "AR", "+5491155550101"},
		{"1155550101,00", "AR", "+5491155550101"},
		{"\u202a+54 9 11 5555‑0101\u202c", "AR", "+5491155550101"},
		{"+54\u00a09\u00a011\u00a05555–0101", "AR", "+5491155550101"},
		{"11.5555.0101", "AR", "+5491155550101"},
		{"١١٥٥٥٥٠١٠١", "AR", "+5491155550101"},
	}
	for _, row := range rows {
		got, err := NormalisePhone(row.text, row.region)
		if err != nil || got != row.want {
			t.Errorf("%q in %s: %q, %v; want %s", row.text, row.region, got, err, row.want)
		}
	}
}

func TestWhatIsNoPhoneNumberHasItsCode(t *testing.T) {
	t.Parallel()
	rows := []struct{ text, region, code string }{
		{"", "AR", "phone_missing"},
		{" \u200b\t", "AR", "phone_missing"},
		{"no tiene", "AR", "phone_not_a_number"},
		{"11 5555 010l", "AR", "phone_not_a_number"},
		{"1155550101 int 12", "AR", "phone_not_a_number"},
		{"-", "AR", "phone_not_a_number"},
		{"+", "AR", "phone_not_a_number"},
		{"++5491155550101", "AR", "phone_not_a_number"},
		{"11 5555+0101", "AR", "phone_not_a_number"},
		{"1155550101#12", "AR", "phone_not_a_number"},
		{"1155550101;1155550102", "AR", "phone_not_a_number"},
		{"5,49116E+12", "AR", "phone_rounded"},
		{"5.49116e12", "AR", "phone_rounded"},
		{"1", "AR", "phone_too_short"},
		{"5555", "AR", "phone_too_short"},
		{"5555 0101", "AR", "phone_too_short"},
		{"15 555 0101", "AR", "phone_too_short"},
		{"011 555 5555", "AR", "phone_too_short"},
		{"+54 9 11 5555", "AR", "phone_too_short"},
		{"15 5555 0101", "AR", "phone_area_code_missing"},
		{"+54 9 15 5555 0101", "AR", "phone_area_code_missing"},
		{"1155550101 / 1155550102", "AR", "phone_too_long"},
		{"+54 9 11 5555 0101 0", "AR", "phone_too_long"},
		{strings.Repeat("1", 100), "AR", "phone_too_long"},
		{"+999 123 456 789", "AR", "phone_invalid"},
		{"11 5555 01011", "AR", "phone_invalid"},
		{"0800 555 0101", "AR", "phone_invalid"},
		{"59899123456", "AR", "phone_invalid"},
		{"+34 212 345 678", "AR", "phone_invalid"},
	}
	for _, row := range rows {
		got, err := NormalisePhone(row.text, row.region)
		problem := fault.As(err)
		if err == nil {
			t.Errorf("%q in %s: %q, want %s", row.text, row.region, got, row.code)
			continue
		}
		if problem.Code != row.code || problem.Class != fault.Invalid || got != "" {
			t.Errorf("%q in %s: %q, class %s, code %s, want %s", row.text, row.region, got, problem.Class, problem.Code, row.code)
		}
	}
}

// e164 is what WhatsApp's lookup takes.
var e164 = regexp.MustCompile(`^\+[1-9]\d{6,14}$`)

func FuzzNormalisePhone(f *testing.F) {
	for _, seed := range []string{
		"+54 9 11 15 5555-0101", "011 15-5555-0101", "5,49E+12", "+52 1 55 1234 5678", "+55 11 8765 4321", "0054", "'+1", "١١",
		"1155550101.0", "\xff+54",
	} {
		f.Add(seed, uint8(0))
	}
	regions := []string{"AR", "MX", "BR", "ES", "US", "UY"}
	f.Fuzz(func(t *testing.T, text string, choice uint8) {
		phone, err := NormalisePhone(text, regions[int(choice)%len(regions)])
		if err != nil {
			problem := fault.As(err)
			if phone != "" || problem.Class != fault.Invalid || !strings.HasPrefix(problem.Code, "phone_") || len(problem.Message) < 20 {
				t.Fatalf("%q: %q with %+v", text, phone, problem)
			}
			if digits := onlyDigits(text); len(digits) > 5 && strings.Contains(onlyDigits(problem.Message), digits) {
				t.Fatalf("%q stands in the error %q", text, problem.Message)
			}
			return
		}
		if !e164.MatchString(phone) {
			t.Fatalf("%q gives %q", text, phone)
		}
		for _, region := range regions {
			if again, err := NormalisePhone(phone, region); err != nil || again != phone {
				t.Fatalf("%q gives %q, and that in %s %q, %v", text, phone, region, again, err)
			}
		}
	})
}

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}

func BenchmarkNormalisePhone(b *testing.B) {
	for b.Loop() {
		if _, err := NormalisePhone("011 15-5555-0101", "AR"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOnePersonHasOneKeyWhateverFormTheNumberHas(t *testing.T) {
	t.Parallel()
	for key, forms := range map[string][]string{
		"+5511987654321": {"+5511987654321", "+551187654321"},
		"+525512345678":  {"+525512345678", "+5215512345678"},
		"+5491155550101": {"+5491155550101", "+541155550101"},
		"+14155552671":   {"+14155552671"},
		"no number":      {"no number"},
	} {
		for _, form := range forms {
			same(t, PersonKey(form), key)
		}
	}
}

func TestANumberThatIsItsOwnKeyIsNotReadForIt(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	digits := func(count int) (text string) {
		for range count {
			text += strconv.Itoa(random.IntN(10))
		}
		return text
	}
	matched := 0
	for range 20_000 {
		phone := "+" + []string{"549", "52", "55"}[random.IntN(3)] + digits(10+random.IntN(2))
		if !ownKey.MatchString(phone) {
			continue
		}
		matched++
		if read, err := NormalisePhone(phone, DefaultRegion); err == nil && read != phone {
			t.Errorf("%s would be its own key, and is read as %s", phone, read)
		}
	}
	if matched < 5000 {
		t.Errorf("only %d numbers were compared", matched)
	}
}

func BenchmarkPersonKey(b *testing.B) {
	for _, phone := range []string{"+5491155550101", "+541155550101"} {
		b.Run(phone, func(b *testing.B) {
			for b.Loop() {
				_ = PersonKey(phone)
			}
		})
	}
}
