import { ErrorCode } from "@shardcast/protocol";
import type { MessageSource } from "../../delivery/incoming/incoming.ts";
import { bodyFields, type Fields } from "../../json/fields.ts";
import type { RequestSpan } from "../../tracing/request-span.ts";
import type { ApiKey } from "../api-keys.ts";
import { ApiError, ApiForbidden } from "./api-error.ts";

/** The text of a JSON value. */
export type JsonText = string | Uint8Array;

/** Runs one method and returns its result as JSON. @throws ApiError, FieldError or PublishRequestError */
export type ApiMethod = (call: ApiCall) => Promise<JsonText> | JsonText;

/** The most publications that all commands of one request may make. */
const publicationsMax = 1000;

/** State that one HTTP request shares among the commands of its batch. */
export class ApiRequest {
	readonly key: ApiKey;
	readonly source: MessageSource;
	/** Null = it is not traced. */
	readonly span: Pick<RequestSpan, "details"> | null;
	#publicationsLeft = publicationsMax;

	constructor(key: ApiKey, source: MessageSource, span: Pick<RequestSpan, "details"> | null = null) {
		this.span = span;
		this.key = key;
		this.source = source;
	}

	/** @throws ApiError when there are too many. */
	takePublications(count: number): void {
		if (count > this.#publicationsLeft)
			throw new ApiError(ErrorCode.limitExceeded, `one request publishes ${publicationsMax} times at most`);
		this.#publicationsLeft -= count;
	}
}

/** A call of one method: an HTTP request, or a command of a batch. */
export class ApiCall {
	readonly request: ApiRequest;
	/** JSON in UTF-8. Must not be changed. */
	readonly body: Uint8Array;
	#fields: Fields | null = null;

	constructor(request: ApiRequest, body: Uint8Array) {
		this.request = request;
		this.body = body;
	}

	/** Parsed on first use. @throws SyntaxError; FieldError when it is not an object. */
	get fields(): Fields {
		this.#fields ??= bodyFields(this.body) ?? {};
		return this.#fields;
	}

	/** @throws ApiForbidden when the key does not permit this channel. */
	check(channel: string): string {
		if (!this.request.key.allowsChannel(channel))
			throw new ApiForbidden(ErrorCode.permissionDenied, "this key does not permit the channel");
		return channel;
	}
}
