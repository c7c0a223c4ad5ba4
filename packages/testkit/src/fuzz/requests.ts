import fc from "fast-check";

/** What a client sends on one connection. Each byte is a character. */
export interface RequestStream {
	readonly text: string;
	/** The same in the pieces in which it is written. */
	readonly pieces: readonly string[];
}

interface RequestOptions {
	/** Targets that the server knows. */
	readonly targets: readonly string[];
	/** Lines that each request has besides Host. */
	readonly lines?: readonly string[];
	/** What stands in some bodies, so that a server that ends the body elsewhere takes it for a request. */
	readonly smuggled?: string;
}

/** Where the request in a body goes, unless another one is given. */
export const smuggledTarget = "/smuggled";
const usualSmuggled = `GET ${smuggledTarget} HTTP/1.1\r\nHost: a\r\n\r\n`;

const usual = <T>(right: readonly T[], odd: readonly T[]): fc.Arbitrary<T> =>
	fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...right) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const names = ["X-A", "Accept", "Cookie", "Origin", "Referer", "X-Forwarded-For", "TE", "Trailer", "Keep-Alive", "Proxy-Connection"];
const values = ["", "a", "a, b", "a:b", "\xe4", "x".repeat(300), '"a\\"b"', "a\tb"];
const oddLines = [
	"X A: b",
	"X\0A: b",
	"X\xe4: b",
	"X(: b",
	"X-A : b",
	": b",
	"noColon",
	" folded",
	"\tfolded",
	"X-A: a\0b",
	"X-A: a\x7fb",
	"X-A: a\rb",
	"X-A: a\nContent-Length: 5",
	"X-A: a\n\nGET /smuggled HTTP/1.1",
	"Host: b",
	"Host: a",
	"Host:",
	"host : a",
	"Content-Length: 5",
	"Content-Length: 0",
	"Content-Length:",
	"Content-Length: +3",
	"Content-Length: -1",
	"Content-Length: 0x3",
	"Content-Length: 3 3",
	"Content-Length: 3, 3",
	"Content-Length: 3;3",
	"Content-Length: 99999999999999999999",
	"Content_Length: 3",
	"Content-Length : 3",
	"Content-Length\t: 3",
	"Content-Length\0: 3",
	"Transfer-Encoding: chunked",
	"Transfer-Encoding: Chunked",
	"Transfer-Encoding: identity",
	"Transfer-Encoding: gzip, chunked",
	"Transfer-Encoding: chunked, gzip",
	"Transfer-Encoding: chunked, identity",
	"Transfer-Encoding: chunked, chunked",
	"Transfer-Encoding: xchunked",
	"Transfer-Encoding: x",
	"Transfer-Encoding:",
	"Transfer-Encoding: ,chunked",
	"Transfer-Encoding: chunked\x0b",
	"Transfer-Encoding:\x0bchunked",
	"Transfer-Encoding : chunked",
	"Transfer-Encoding: \tchunked",
	'Transfer-Encoding: "chunked"',
	"Transfer_Encoding: chunked",
	"Connection: close",
	"Connection: Content-Length",
	"Connection: Upgrade",
	"Upgrade: websocket",
	"Upgrade: h2c",
	"Expect: 100-continue",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Sec-WebSocket-Version: 13",
];

/** A chunked body: mostly right, with what parsers like to read differently. */
const chunked = (smuggled: string): fc.Arbitrary<string> =>
	fc
		.tuple(
			fc.array(
				fc.tuple(
					fc.constantFrom("a", "abc", smuggled, "x".repeat(40)),
					fc.oneof(
						{ weight: 10, arbitrary: fc.constant("") },
						{ weight: 1, arbitrary: fc.constantFrom(";x=1", ";", " ", "\t", " ;a", "\0", "\n", ";\n", "x", "_", "\r") },
					),
					usual(["hex"], ["HEX", "0", "0x", "+", "-", " ", "long", "plus", "minus"]),
					usual(["\r\n"], ["\n", "\r", "", " \r\n", "\r\n\r\n"]),
					usual(["\r\n"], ["\n", "\r", "", "xx", "\r\n\r\n"]),
				),
				{ maxLength: 3 },
			),
			usual(
				["0\r\n\r\n"],
				[
					"0\r\n",
					"0\n\n",
					"00\r\n\r\n",
					"0;x\r\n\r\n",
					"0\r\nX: a\r\n\r\n",
					"0\r\nContent-Length: 5\r\n\r\n",
					"0\r\n \r\n\r\n",
					"-0\r\n\r\n",
					"\r\n\r\n",
					"0\r\r\n\n",
				],
			),
		)
		.map(([chunks, last]) => {
			const size = (length: number, kind: string): string => {
				const hex = length.toString(16);
				if (kind === "hex") return hex;
				if (kind === "HEX") return hex.toUpperCase();
				if (kind === "long") return hex.padStart(24, "0");
				if (kind === "plus") return (length + 1).toString(16);
				if (kind === "minus") return Math.max(0, length - 1).toString(16);
				return kind + hex;
			};
			return (
				chunks.map(([data, extension, kind, lineEnd, end]) => size(data.length, kind) + extension + lineEnd + data + end).join("") + last
			);
		});

/** One request, right but for at most a few places. */
function request({ targets, lines: always = [], smuggled = usualSmuggled }: RequestOptions): fc.Arbitrary<string> {
	const startLine = fc
		.tuple(
			usual(["GET", "POST", "POST", "POST"], ["get", "HEAD", "OPTIONS", "PUT", "G\0ET", "G(T", "", "POST ", " POST", "CONNECT", "PRI"]),
			usual([" "], ["  ", "\t", "", " \r"]),
			fc.oneof(
				{ weight: 12, arbitrary: fc.constantFrom(...targets) },
				{
					weight: 1,
					arbitrary: fc.constantFrom(
						"*",
						"http://a/p",
						"a/p",
						"",
						"//p",
						"/p#x",
						"/p%00",
						"/\xe4",
						"/p\0",
						"/./p",
						"/p\\",
						"a:80",
						"/p\x7f",
						'/p"<>',
					),
				},
			),
			usual([" "], ["  ", "\t", ""]),
			usual(
				["HTTP/1.1"],
				["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/1.", "HTTP/01.1", "HTTP/1.1x", ""],
			),
		)
		.map((parts) => parts.join(""));
	const plain = fc
		.tuple(fc.constantFrom(...names), fc.constantFrom(": ", ":", ":\t "), fc.constantFrom(...values), fc.constantFrom("", " ", "\t"))
		.map((parts) => parts.join(""));
	const line = fc.oneof({ weight: 5, arbitrary: plain }, { weight: 2, arbitrary: fc.constantFrom(...oddLines) });
	const lineEnd = fc.oneof(
		{ weight: 40, arbitrary: fc.constant("\r\n") },
		{ weight: 1, arbitrary: fc.constantFrom("\n", "\r", "\r\r\n", "\n\r", "\r\n ") },
	);
	const body = fc.oneof(
		{ weight: 4, arbitrary: fc.constant({ lines: [] as string[], body: "" }) },
		{
			weight: 4,
			arbitrary: fc
				.constantFrom("", "abc", smuggled, "0\r\n\r\n")
				.map((text) => ({ lines: [`Content-Length: ${text.length}`], body: text })),
		},
		{ weight: 4, arbitrary: chunked(smuggled).map((text) => ({ lines: ["Transfer-Encoding: chunked"], body: text })) },
	);
	return fc
		.tuple(
			startLine,
			fc.oneof({ weight: 15, arbitrary: fc.constant(["Host: a"]) }, { weight: 1, arbitrary: fc.constant([] as string[]) }),
			fc.array(line, { maxLength: 3 }),
			body,
			fc.array(lineEnd, { minLength: 12, maxLength: 12 }),
			fc.nat(3),
		)
		.map(([start, host, lines, { lines: lengths, body: content }, ends, at]) => {
			const all = [start, ...host, ...always, ...lines.slice(0, at), ...lengths, ...lines.slice(at)];
			return `${all.map((text, index) => text + ends[index]).join("")}${ends[11]}${content}`;
		});
}

/** Requests one after the other, some of it damaged, in any pieces. */
export function requestStreams(options: RequestOptions): fc.Arbitrary<RequestStream> {
	const damage = fc.oneof(
		{ weight: 4, arbitrary: fc.constant((text: string) => text) },
		{
			weight: 1,
			arbitrary: fc
				.tuple(fc.nat(2000), fc.oneof(fc.constantFrom(0, 9, 10, 11, 13, 32, 58, 127, 128, 255), fc.nat(255)), fc.constantFrom(0, 1))
				.map(([place, byte, removed]) => (text: string) => {
					const at = place % (text.length + 1);
					return text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + removed);
				}),
		},
	);
	return fc
		.tuple(fc.array(request(options), { minLength: 1, maxLength: 3 }), damage, fc.array(fc.nat(2000), { maxLength: 4 }))
		.map(([requests, change, cuts]) => {
			const text = change(requests.join(""));
			const ends = [...new Set([...cuts.map((cut) => cut % (text.length + 1)), text.length])].sort((a, b) => a - b);
			return { text, pieces: ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end)).filter((piece) => piece !== "") };
		});
}
