import { ErrorCode } from "@shardcast/protocol";
import type { MessageSource } from "../../delivery/incoming/incoming.ts";
import { type Fields, tableField } from "../../json/fields.ts";
import type { ApiKey } from "../api-keys.ts";
import { ApiError, ApiForbidden } from "./api-error.ts";

/** The text of a JSON value. */
export type JsonText = string | Uint8Array;

/** Carries one method out. Resolves with the JSON of its result. @throws ApiError, FieldError or PublishRequestError */
export type ApiMethod = (call: ApiCall) => Promise<JsonText> | JsonText;

/** Publications that one request may cause, with those of all its commands. */
const publicationsMax = 1000;

/** What one HTTP request shares between the commands of its batch. */
export class ApiRequest {
	readonly key: ApiKey;
	readonly source: MessageSource;
	#publicationsLeft = publicationsMax;

	constructor(key: ApiKey, source: MessageSource) {
		this.key = key;
		this.source = source;
	}

	/** @throws ApiError when they are too many. */
	takePublications(count: number): void {
		if (count > this.#publicationsLeft)
			throw new ApiError(ErrorCode.limitExceeded, `one request publishes ${publicationsMax} times at most`);
		this.#publicationsLeft -= count;
	}
}

/** One method with its request: that of an HTTP request, or a command of a batch. */
export class ApiCall {
	readonly request: ApiRequest;
	/** JSON in UTF-8. Nobody changes it. */
	readonly body: Uint8Array;
	#fields: Fields | null = null;

	constructor(request: ApiRequest, body: Uint8Array) {
		this.request = request;
		this.body = body;
	}

	/** Parsed at the first use. @throws SyntaxError or FieldError when it is no object. */
	get fields(): Fields {
		this.#fields ??= tableField({ body: JSON.parse(Buffer.from(this.body).toString()) as unknown }, "body") ?? {};
		return this.#fields;
	}

	/** @throws ApiForbidden when the key has no right to this channel. */
	check(channel: string): string {
		if (!this.request.key.allowsChannel(channel))
			throw new ApiForbidden(ErrorCode.permissionDenied, "this key has no right to the channel");
		return channel;
	}
}
