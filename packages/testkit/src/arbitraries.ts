import fc from "fast-check";

// Apart from the other parts, since only property tests load fast-check.

const codePoint = fc
	.oneof(
		{ weight: 3, arbitrary: fc.integer({ min: 0, max: 0x7f }) },
		{ weight: 2, arbitrary: fc.integer({ min: 0x80, max: 0xd7ff }) },
		{ weight: 1, arbitrary: fc.integer({ min: 0xe000, max: 0x10ffff }) },
	)
	.map((code) => String.fromCodePoint(code));

/**
 * Any text that UTF-8 can hold. fast-check's own units "binary" and "grapheme" first make a table of all characters, which takes 1.3 s
 * of CPU in each process that asks for one.
 */
export function arbitraryText(length: { readonly minLength?: number; readonly maxLength?: number } = {}): fc.Arbitrary<string> {
	return fc.string({ unit: codePoint, ...length });
}
