/** A word that the project does not use, and what to write instead. See the glossary in ARCHITECTURE.md. */
interface Rule {
	readonly pattern: RegExp;
	readonly instead: string;
	/** Where the word is right. */
	readonly except?: RegExp;
}

const rules: readonly Rule[] = [
	{ pattern: /\bmend(s|ed|ing)?\b/i, instead: "write fix, or hint" },
	{ pattern: /\b[aA]new\b|[a-z]Anew\b/, instead: "write again, restarted or recreated" },
	{ pattern: /\bof (its|their|your|our|my|his|her) own\b/i, instead: "write its own …, or separate" },
	{ pattern: /\bis it well\b/i, instead: "write is it healthy" },
	{ pattern: /\bnobody outlives\b/i, instead: "write no process outlives" },
	{
		pattern: /\b[dD]oors?\b|[a-z]Doors?\b/,
		instead: "name the thing: data path, interface, the place that imports it",
		except: /^packages\/config\/test\/objects/,
	},
	{ pattern: /\b[gG]uests?\b|[a-z]Guests?\b/, instead: "write client, or connection" },
	{ pattern: /\b[hH]omeless\b|[a-z]Homeless\b/, instead: "write unassigned" },
	{ pattern: /\b[rR]eception\b|[a-z]Reception\b/, instead: "write listener, or admission" },
	{ pattern: /\bseeOff\b|\bsee(s|ing)? off\b/, instead: "write close" },
	{ pattern: /\bbur(y|ied|ies)\b/i, instead: "write reap, or clean up" },
	{ pattern: /\bvitals\b/i, instead: "write heartbeat, or monitor" },
	{ pattern: /\b[oO]utlets?\b|[a-z]Outlets?\b/, instead: "write publisher, or destination" },
	{ pattern: /\b[sS]eat(s|ed)?\b|[a-z]Seats?\b/, instead: "write slot, or row" },
	{ pattern: /\b(is|are|be) borne\b/i, instead: "write tolerated" },
	{ pattern: /\btold alike\b/i, instead: "write reported the same way" },
	{ pattern: /\b[sS]ettings\b|[a-z]Settings\b/, instead: "write options, or their values", except: /\/test\// },
	{
		pattern: /\brooms\b|\broomsMax\b/i,
		instead: "write channel sets; room means free space only",
		except: /^packages\/config\/test\/objects/,
	},
	{ pattern: /\bdrain\(max\b|\bdrainAll\b|\bdrain within a drain\b/, instead: "reading a ring is read; drain is the end of work" },
];

/** What a line should not say. */
export function misused(path: string, line: string): { readonly found: string; readonly instead: string }[] {
	return rules.flatMap(({ pattern, instead, except }) => {
		const found = pattern.exec(line)?.[0];
		return found === undefined || except?.test(path) ? [] : [{ found, instead }];
	});
}

/** A test title that begins with an id such as B1 or M12: the reader would have to know a list that is not in the project. */
export const titleIds = /\b(it|test|describe)\b.*\(\s*["'`](?:[A-Z]?\d{1,2}\b,? ?)+: /;
