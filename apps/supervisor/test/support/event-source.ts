/** What a browser has and Node 20 lacks, as far as the clients of these tests need it: it does not connect again. */
export class TestEventSource {
	onopen: (() => void) | null = null;
	onmessage: ((event: { readonly data: string }) => void) | null = null;
	onerror: ((error: unknown) => void) | null = null;
	readonly #abort = new AbortController();

	constructor(url: string) {
		void this.#read(url);
	}

	close(): void {
		this.#abort.abort();
	}

	async #read(url: string): Promise<void> {
		const { signal } = this.#abort;
		try {
			const response = await fetch(url, { headers: { Accept: "text/event-stream" }, signal });
			if (!response.ok) throw new Error(`status ${response.status}`);
			this.onopen?.();
			const decoder = new TextDecoder();
			let rest = "";
			for await (const part of response.body!) {
				const events = (rest + decoder.decode(part as Uint8Array, { stream: true })).split("\n\n");
				rest = events.pop()!;
				for (const event of events) this.#event(event);
			}
			throw new Error("the stream has ended");
		} catch (error) {
			if (!signal.aborted) this.onerror?.(error);
		}
	}

	#event(event: string): void {
		const data = event.split("\n").flatMap((line) => (line.startsWith("data:") ? [line.slice("data:".length).trimStart()] : []));
		if (data.length > 0) this.onmessage?.({ data: data.join("\n") });
	}
}
