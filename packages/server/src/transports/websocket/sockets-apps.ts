import { type Certificate, certificateFor } from "@shardcast/config";
import type { TemplatedApp } from "./sockets-native.ts";
import { createTlsApp } from "./sockets-tls.ts";

/** One app of the library. */
export interface LibraryApp {
	readonly app: TemplatedApp;
	/** Null = its connections are not encrypted. */
	readonly certificate: Certificate | null;
	/** Connections that it has. */
	open: number;
}

/** A WebSocket as far as it matters which app it belongs to. */
export interface OfApp {
	/** To the other subscribers of its app. */
	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean;
	/** Undefined = there is one app only. */
	app?: TemplatedApp;
}

/** What an app is told before it gets connections. */
type SetUp = (served: LibraryApp) => void;

/** Apps whose certificate is no longer in force and that still have clients; one more closes the oldest, and its clients connect again. */
const formerMax = 32;

/**
 * The apps of the library that serve one shard. Without TLS it is one. With TLS each certificate has one, since the library cannot replace the
 * certificate of an app: a new certificate gets a new app, which takes the new connections, and the old app stays until its clients have gone.
 *
 * One owner, the shard's loop. A publish costs a look-up in each app that has connections.
 */
export class LibraryApps {
	readonly #setUps = new Map<string, SetUp>();
	/** In the order of their certificates. */
	#current: LibraryApp[];
	#former: LibraryApp[] = [];

	/** @param plain the app without TLS, which is used while there are no certificates. */
	constructor(plain: TemplatedApp | null, certificates: readonly Certificate[]) {
		this.#current =
			plain === null
				? certificates.map((certificate) => ({ app: createTlsApp(certificate), certificate, open: 0 }))
				: [{ app: plain, certificate: null, open: 0 }];
	}

	get #all(): LibraryApp[] {
		return this.#former.length === 0 ? this.#current : [...this.#former, ...this.#current];
	}

	/** The first of those that get new connections. */
	get first(): TemplatedApp {
		return this.#current[0]!.app;
	}

	/** Tells all apps, and those that come later. Of several with one key the last counts; later apps are told in the order in which the keys came. */
	configure(key: string, setUp: SetUp): void {
		this.#setUps.set(key, setUp);
		for (const served of this.#all) setUp(served);
	}

	/** @param serverName that the client asks for; null = none. */
	for(serverName: string | null): TemplatedApp {
		if (this.#current.length === 1) return this.first;
		const certificate = certificateFor(
			this.#current.map((served) => served.certificate!),
			serverName,
		);
		return this.#current.find((served) => served.certificate === certificate)!.app;
	}

	/** New connections get these certificates. @throws Error when the library does not take one; nothing has changed then. */
	use(certificates: readonly Certificate[]): void {
		const added: LibraryApp[] = [];
		const next = certificates.map((certificate) => {
			const same = this.#current.find((served) => served.certificate?.fingerprint === certificate.fingerprint);
			if (same !== undefined) return same;
			const served = { app: createTlsApp(certificate), certificate, open: 0 };
			added.push(served);
			return served;
		});
		for (const served of added) for (const setUp of this.#setUps.values()) setUp(served);
		this.#former.push(...this.#current.filter((served) => !next.includes(served)));
		this.#current = next;
		this.tidy(formerMax);
	}

	/** Closes apps that have nothing left to do. @param keptMax how many others may stay. Not to be called within a callback of the library. */
	tidy(keptMax = formerMax): void {
		if (this.#former.length === 0) return;
		const busy = this.#former.filter(({ open }) => open > 0);
		const kept = busy.slice(Math.max(0, busy.length - keptMax));
		const closed = this.#former.filter((served) => !kept.includes(served));
		this.#former = kept;
		for (const { app } of closed) app.close();
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		if (this.#former.length === 0 && this.#current.length === 1) return this.first.publish(topic, message, isBinary);
		let isHeard = false;
		for (const { app, open } of this.#all) if (open > 0 && app.publish(topic, message, isBinary)) isHeard = true;
		return isHeard;
	}

	/** To all but the sender, which has its app as `app` unless there is one only. */
	publishToOthers(sender: OfApp, topic: string, message: Uint8Array, isBinary: boolean): void {
		sender.publish(topic, message, isBinary);
		if (sender.app === undefined) return;
		for (const { app, open } of this.#all) if (open > 0 && app !== sender.app) app.publish(topic, message, isBinary);
	}

	/** Cuts whatever is still open. */
	close(): void {
		for (const { app } of this.#all) app.close();
	}
}
