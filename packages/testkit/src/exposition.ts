import { httpRequest } from "./clients/http.ts";
import { waitFor } from "./wait.ts";

/** By URL: how many answers were missing, as of the last scrape. */
const missingBefore = new Map<string, number>();

/** An answer of GET /metrics, read for a test. */
export class Scrape {
	readonly text: string;
	readonly #values = new Map<string, { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]>();

	constructor(text: string) {
		this.text = text;
		for (const line of text.split("\n")) {
			const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
			if (match === null) continue;
			const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
			const values = this.#values.get(match[1]!) ?? [];
			values.push({ labels, value: Number(match[3]) });
			this.#values.set(match[1]!, values);
		}
	}

	/**
	 * On a busy machine a process may take longer to tell its numbers than /metrics waits. So this asks again while the answer is 503, and up to twice when
	 * it counts one more process that did not answer: only a process that is stopped is missing three times.
	 *
	 * @param url such as "http://127.0.0.1:3005".
	 */
	static async of(url: string, deadlineMs = 20_000): Promise<Scrape> {
		for (let again = 2; ; again--) {
			const scrape = await Scrape.once(url, deadlineMs);
			const missing = scrape.#values
				.get("shardcast_missing_answers_total")
				?.filter(({ labels }) => labels.question === "metrics")
				.reduce((sum, { value }) => sum + value, 0);
			const before = missingBefore.get(url) ?? 0;
			missingBefore.set(url, missing ?? 0);
			if (again === 0 || missing === undefined || missing <= before) return scrape;
		}
	}

	/** One answer as it comes, for a test that stops a process. */
	static async once(url: string, deadlineMs = 20_000): Promise<Scrape> {
		const { status, headers, body } = await waitFor(
			async () => {
				const answer = await httpRequest(`${url}/metrics`);
				if (answer.status === 503) throw new Error(`503 ${answer.body}`);
				return answer;
			},
			{ deadlineMs, what: "GET /metrics", everyMs: 100 },
		);
		if (status !== 200) throw new Error(`GET /metrics: ${status} ${body}`);
		if (!headers["content-type"]?.startsWith("text/plain; version=0.0.4")) throw new Error(`GET /metrics is ${headers["content-type"]}`);
		return new Scrape(body);
	}

	/** Families and their parts (`…_bucket`), each once. */
	names(): string[] {
		return [...this.#values.keys()];
	}

	/** The sum over all values whose labels include these. @throws when there is none. */
	sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
		const values = this.#values.get(name)?.filter((value) => Object.entries(labels).every(([key, wanted]) => value.labels[key] === wanted));
		if (values === undefined || values.length === 0) throw new Error(`no value of ${name} ${JSON.stringify(labels)}`);
		return values.reduce((sum, { value }) => sum + value, 0);
	}

	/** Values of one label, in the order of the answer. */
	labels(name: string, label: string): string[] {
		return (this.#values.get(name) ?? []).flatMap(({ labels }) => labels[label] ?? []);
	}
}
