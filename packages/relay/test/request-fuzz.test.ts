import { METHODS } from "node:http";
import { fuzzed, fuzzTimeoutMs, judgeRequests, type RequestRead, requestStreams, seed } from "@shardcast/testkit/fuzz";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeadParser, HeadStatus } from "../src/head/head.ts";
import { PassedRequests } from "../src/pass/passed-requests.ts";

// What the balancer passes on, judged by the HTTP parser of Node.js, which is another implementation of RFC 9112. `head-differential.process.test.ts`
// compares single heads with the parser of the shards.

interface Passed {
	readonly method: string;
	readonly target: string;
	readonly host: string | null;
	readonly isUpgrade: boolean;
}

interface Relayed {
	/** Whose bodies are complete too. */
	readonly requests: readonly Passed[];
	/** What a shard gets. */
	readonly bytes: Buffer;
	/** "" = nothing was refused. */
	readonly refused: string;
}

/** Passes on the requests of a client as a balancer in proxy mode does, for a shard that answers each at once. */
function relay(text: string, pieces: readonly string[]): Relayed {
	const heads: Passed[] = [];
	const written: Buffer[] = [];
	let refused = "";
	let complete = 0;
	const passed = new PassedRequests({
		headBytesMax: 16_384,
		rewrite: (bytes, head) => {
			const between = (start: number, end: number) => bytes.toString("latin1", start, end);
			heads.push({
				method: between(0, head.methodEnd),
				target: between(head.targetStart, head.targetEnd),
				host: head.hostStart < 0 ? null : between(head.hostStart, head.hostEnd),
				isUpgrade: head.isUpgrade,
			});
			return Buffer.from(bytes.subarray(0, head.bytes));
		},
		judge: () => null,
		write: (bytes) => void written.push(Buffer.from(bytes)),
		onPassed: () => {},
		onRefused: ({ message }) => {
			refused = message;
		},
	});
	// As the data path does it: the first head decides where the connection goes, then all bytes so far are passed on.
	const head = new HeadParser();
	let bytes: Buffer = Buffer.alloc(0);
	let isPassing = false;
	const answer = (): void => {
		while (passed.awaitsAnswer && heads.at(-1)?.isUpgrade !== true) {
			complete = heads.length;
			passed.answered();
		}
		if (passed.awaitsAnswer) complete = heads.length;
	};
	for (const piece of pieces) {
		if (refused !== "" || heads.at(-1)?.isUpgrade === true) break;
		if (isPassing) passed.push(Buffer.from(piece, "latin1"));
		else {
			bytes = Buffer.concat([bytes, Buffer.from(piece, "latin1")]);
			const status = head.parse(bytes, bytes.length);
			if (status === HeadStatus.malformed || status === HeadStatus.tooLong) refused = head.problem || "too long";
			if (status !== HeadStatus.complete) continue;
			isPassing = true;
			passed.begin(bytes, head);
		}
		answer();
	}
	if (refused === "" && complete === 0 && text.includes("\r\n\r\n") && !isPassing) refused = "incomplete";
	return { requests: heads.slice(0, complete), bytes: Buffer.concat(written), refused };
}

/** Why a balancer may refuse what Node's parser takes. Everything else that it refuses alone fails the test. */
const stricter: readonly (readonly [problem: RegExp, why: string])[] = [
	[/the version is not/, "Node takes other versions with a dot."],
	[/target contains an invalid character/, "Node takes bytes beyond ASCII."],
	[/target does not start with a slash/, "Node takes what is for proxies, and stars."],
	[/more than one (Host|Origin)/, "Node keeps the first."],
	[/there is no Host/, "Node has answered 400 by itself: a request without Host never reaches its handler."],
	[/Transfer-Encoding is not chunked/, "Node takes a list that ends in chunked, and codings without chunked for a body up to the end."],
	[/does not start with a method/, "Node skips empty lines before a request."],
	[/CONNECT is for proxies/, "Node ends HTTP there."],
	[/an upgrade must not have a body/, "Node knows no such rule, and a shard refuses it too."],
	[/chunks of the body are malformed/, "Node takes white space behind the size of a chunk."],
	[/too many lines|too long/, "Node takes more."],
];

/** Why the judge may refuse what a balancer passes on. */
const looser: readonly { readonly why: string; readonly applies: (text: string, request: Passed) => boolean }[] = [
	{ why: "Node has a list of methods. A shard answers an unknown one 405.", applies: (_, { method }) => !METHODS.includes(method) },
	{
		why: "Node reads nothing behind a request that closes the connection. A shard closes it too, when it has answered that.",
		applies: (text) => /\r\n(?:proxy-)?connection:[^\r\n]*close|HTTP\/1\.0/i.test(text),
	},
	{
		why: "Node refuses trailers that would change the length. The balancer drops all trailers.",
		applies: (text) => /\r\n0+[^\r\n]*\r\n(?:[^\r\n]+\r\n)*(?:content-length|transfer-encoding):/i.test(text),
	},
	{
		why: "Node gives up the whole connection at these methods. The balancer refuses CONNECT, and a shard answers PRI 405.",
		applies: (text) => /(?:CONNECT|PRI) /.test(text),
	},
	{
		why: "Node reads nothing behind a request for an upgrade, whatever to. The balancer knows WebSockets only, a shard too.",
		applies: (text) => /\r\nupgrade:/i.test(text) && /\r\nconnection:[^\r\n]*upgrade/i.test(text),
	},
	{
		why: "Node refuses an extension of a chunk that is empty. The balancer drops all extensions.",
		applies: (text) => /[0-9a-f][ \t]*;[^\r\n]*\r\n/i.test(text),
	},
];

const complete = async (bytes: Buffer) => (await judgeRequests(bytes)).requests.filter(({ body }) => body !== null);
const brief = ({ method, target, host }: Pick<RequestRead, "method" | "target" | "host">) => ({ method, target, host });

describe(`any requests of a client (seed ${seed})`, () => {
	it("are passed on as Node's parser reads them, or refused", { timeout: fuzzTimeoutMs(1) }, async () => {
		let all = 0;
		let passed = 0;
		await fc.assert(
			fc.asyncProperty(requestStreams({ targets: ["/p", "/a", "/connection/sse?x=1"] }), async ({ text, pieces }) => {
				const ours = relay(text, pieces);
				const theirs = await complete(Buffer.from(text, "latin1"));
				all++;
				if (ours.requests.length > 0) passed++;
				const say = `${JSON.stringify(text)}; ${ours.refused}`;
				for (const [index, request] of ours.requests.entries()) {
					const read = theirs[index];
					if (read === undefined && looser.some(({ applies }) => applies(text, request))) return;
					expect(read && brief(read), say).toEqual(brief(request));
				}
				// A shard gets the same requests with the same bodies.
				const arriving = await complete(ours.bytes);
				const count = ours.requests.length;
				expect(arriving.slice(0, count), say).toEqual(
					theirs.slice(0, count).map((request, index) => ({ ...request, headers: arriving[index]?.headers })),
				);
				if (theirs.length > count && ours.requests.at(-1)?.isUpgrade !== true)
					expect(
						stricter.some(([problem]) => problem.test(ours.refused)),
						`refused only here: ${say}`,
					).toBe(true);
			}),
			fuzzed(300, 1),
		);
		expect(passed, "most are passed on").toBeGreaterThan(all / 4);
	});
});
