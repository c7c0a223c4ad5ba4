import { type Framing, webSocketJson } from "../../src/sessions/centrifuge/framing.ts";

/** JSON for WebSockets, which counts what it encodes. */
export function counted(): Framing & { encoded: number } {
	const framing = {
		...webSocketJson,
		encoded: 0,
		publications: (channel: string) => {
			const publications = webSocketJson.publications(channel);
			return {
				...publications,
				encode: (publication: Parameters<typeof publications.encode>[0]) => {
					framing.encoded++;
					return publications.encode(publication);
				},
			};
		},
	};
	return framing;
}
