import { BoundedLines } from "@shardcast/telemetry";
import { isLoopback, secretMatches } from "../access/access.ts";
import { type Reply, refusal } from "../routing/reply.ts";
import type { HttpRequest } from "../routing/request.ts";
import { noStore } from "../routing/router.ts";
import { FailureLimit } from "./failure-limit.ts";

/** Requests by what became of them. */
export interface AdminRequestCounts {
	admitted: number;
	/** There is no `--admin-key`. */
	off: number;
	missingKey: number;
	wrongKey: number;
	/** Its address has shown wrong keys too often. */
	limited: number;
}

interface AdminAccessParts {
	/** `--admin-key`. Called for each request. */
	readonly key: () => string | undefined;
	/** Whether the connections of these requests are encrypted up to this machine. */
	readonly isEncrypted: boolean;
	readonly warn: (fields: object, text: string) => void;
	/** Monotonic. */
	readonly nowMs: () => number;
}

const failuresMax = 10;
const windowMs = 60_000;
const addressesMax = 1024;
/** An attack must not flood the log. */
const linesEveryMs = 10_000;

/**
 * Who may use the admin interface over HTTP: whoever shows the key, in the header X-Admin-Key or as Authorization: Bearer. Nobody without one, not even on this
 * machine: there the socket is for that. One per process.
 */
export class AdminAccess {
	readonly counts: AdminRequestCounts = { admitted: 0, off: 0, missingKey: 0, wrongKey: 0, limited: 0 };
	readonly #parts: AdminAccessParts;
	readonly #failures = new FailureLimit({ failuresMax, windowMs, addressesMax });
	readonly #refusals: BoundedLines;
	readonly #plain: BoundedLines;

	constructor(parts: AdminAccessParts) {
		this.#parts = parts;
		this.#refusals = new BoundedLines(linesEveryMs, parts.nowMs);
		this.#plain = new BoundedLines(linesEveryMs, parts.nowMs);
	}

	/** @returns who it is, for people; or why it may not. */
	readonly admit = (request: HttpRequest): string | Reply => {
		const { key: keyOf, nowMs } = this.#parts;
		const { address } = request;
		const key = keyOf();
		if (key === undefined) {
			this.counts.off++;
			return refused("forbidden", "the admin interface is off over HTTP: set --admin-key, or use the commands on the machine itself");
		}
		// Before the key is looked at: otherwise the answer would tell whether a guess was right.
		const waitMs = this.#failures.waitMs(address, nowMs());
		if (waitMs > 0) {
			this.counts.limited++;
			const seconds = Math.ceil(waitMs / 1000);
			return refused("too_many_requests", `too many wrong keys from this address; try again in ${seconds} s`, {
				"Retry-After": String(seconds),
			});
		}
		const given = keyIn(request);
		if (given === null) {
			this.counts.missingKey++;
			return refused("unauthorized", "the admin interface needs the key of --admin-key, in the header X-Admin-Key");
		}
		if (!secretMatches(given, key)) {
			this.counts.wrongKey++;
			this.#failures.failed(address, nowMs());
			this.#tellRefusal(address);
			return refused("unauthorized", "this is not the key of --admin-key");
		}
		this.counts.admitted++;
		this.#tellIfPlain(request);
		return `${address} with the admin key`;
	};

	#tellRefusal(address: string): void {
		this.#refusals.offer((leftOut) => {
			const more = leftOut === 0 ? "" : `, and ${leftOut} more since the line before`;
			this.#parts.warn({ audit: "admin_refused", address, leftOut }, `admin: a wrong key from ${address}${more}`);
		});
	}

	/** The key was readable on the way. A proxy in front says whether it was not. */
	#tellIfPlain(request: HttpRequest): void {
		const { isEncrypted, warn } = this.#parts;
		const { address } = request;
		if (isEncrypted || isLoopback(address) || request.header("x-forwarded-proto").toLowerCase() === "https") return;
		this.#plain.offer(() =>
			warn(
				{ audit: "admin_plain", address },
				`admin: the key came from ${address} over plain HTTP, where others can read it; use TLS (--tls-cert) or the socket, and change the key`,
			),
		);
	}
}

function refused(
	code: "forbidden" | "too_many_requests" | "unauthorized",
	message: string,
	headers: Readonly<Record<string, string>> = {},
): Reply {
	return refusal(code, message, { headers: { ...noStore, ...headers }, close: true });
}

function keyIn(request: HttpRequest): string | null {
	const own = request.header("x-admin-key");
	if (own !== "") return own;
	return /^Bearer (.+)$/i.exec(request.header("authorization"))?.[1] ?? null;
}

/** The warning at the start and after a reload; null = there is nothing to warn of. @param host it listens on; absent = every interface. */
export function plainAdminWarning({
	key,
	isEncrypted,
	host,
}: {
	readonly key: string | undefined;
	readonly isEncrypted: boolean;
	readonly host: string | undefined;
}): string | null {
	if (key === undefined || isEncrypted || (host !== undefined && (isLoopback(host) || host === "localhost"))) return null;
	return "--admin-key: others can read the key on the way, since there is no TLS (--tls-cert); use it over a proxy with TLS, or from this machine only";
}
