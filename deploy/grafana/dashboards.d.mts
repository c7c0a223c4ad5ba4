interface Panel {
	readonly type: string;
	readonly title: string;
	readonly description: string;
	readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
	readonly targets?: readonly { readonly expr: string }[];
}
export const dashboards: Readonly<Record<string, { readonly uid: string; readonly panels: readonly Panel[] }>>;
export const files: Readonly<Record<string, string>>;
