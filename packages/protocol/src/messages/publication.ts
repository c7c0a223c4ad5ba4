import { EncodedElements } from "../schema/encoded-elements.ts";
import { always, bool, bytes, int64, message, string, stringMap, uint64 } from "../schema/field.ts";
import { messageType, noBytes } from "../schema/message-type.ts";

/** Describes a client that published or is present. `connInfo` and `chanInfo` are JSON for JSON clients. */
export interface ClientInfo {
	readonly user: string;
	readonly client: string;
	readonly connInfo?: Uint8Array | undefined;
	readonly chanInfo?: Uint8Array | undefined;
}
export const clientInfo = messageType<ClientInfo>("ClientInfo", {
	user: always(string(1)),
	client: always(string(2)),
	connInfo: bytes(3),
	chanInfo: bytes(4),
});

/** One publication as a client sees it. */
export interface Publication {
	/** For JSON clients one JSON value in UTF-8, which is not validated again; line breaks between its tokens are removed. */
	readonly data: Uint8Array;
	readonly info?: ClientInfo | null | undefined;
	/** 0 = the channel keeps no history. */
	readonly offset?: number | undefined;
	readonly tags?: ReadonlyMap<string, string> | undefined;
	/** `data` is a delta to the previous publication. */
	readonly delta?: boolean | undefined;
	/** Unix time in milliseconds. */
	readonly time?: number | undefined;
	/** The concrete channel, where a wildcard subscription matched. */
	readonly channel?: string | undefined;
}
/** Publications of a subscribe result that `Codec.listedPublication` has encoded, back to back; in JSON with commas between them. */
export class EncodedPublications extends EncodedElements implements Publication {
	readonly data = noBytes;
	readonly count: number;

	constructor(bytes: Uint8Array, count: number) {
		super(bytes);
		this.count = count;
	}
}

export const publication = messageType<Publication>("Publication", {
	data: bytes(4),
	info: message(5, () => clientInfo),
	offset: uint64(6),
	tags: stringMap(7),
	delta: bool(8),
	time: int64(9),
	channel: string(10),
});
