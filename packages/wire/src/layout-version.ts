/**
 * Version of a layout in shared memory. Within a major version layouts are only appended to, so that programs of different minor
 * versions can use the same bytes, as in a rolling restart. Every other change needs a new major version.
 */
export interface LayoutVersion {
	/** 0 to 32,767. */
	readonly major: number;
	/** 0 to 65,535. */
	readonly minor: number;
}

/** As one i32 word. */
export function packVersion({ major, minor }: LayoutVersion): number {
	return (major << 16) | minor;
}

/** Why a program that knows the layout as `own` may not use bytes of that version; null = it may. */
export function versionProblem(packed: number, own: LayoutVersion): string | null {
	const [major, minor] = [packed >>> 16, packed & 0xffff];
	return major === own.major ? null : `has layout version ${major}.${minor}, and this program uses ${own.major}.x`;
}

/** What to do about it. */
export const versionFix = "these programs can't share a cluster: stop all its processes and start it again";
