"""A mesh that bends as rigidly as it can (Sorkine and Alexa 2007), pulled by points along bones."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, coo_matrix, csc_matrix, csr_matrix, identity
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay

from xdyna.puppet.skeleton import Array, Bone

NUM_ROUNDS = 3
PULL = 4.0  # of a handle, in springs of an edge
STAY = 1e-3  # of each vertex to where its own bone carries it: what hangs on no handle is not lost
HANDLES_PER_BONE = 6


def triangulate(mask: NDArray[np.bool_], spacing: float) -> tuple[Array, NDArray[np.int32]]:
    """Lay a mesh of even triangles over a mask.

    Args:
        mask: The pixels to cover, `(height, width)`, at least one.
        spacing: The length of an edge in pixels.

    Returns:
        The vertices, `(num_vertices, 2)` x, y in pixels, and the triangles, `(num_triangles, 3)`. They cover the mask.
    """
    ys, xs = np.nonzero(mask)
    rows = np.arange(ys.min() - 2 * spacing, ys.max() + 2.5 * spacing, spacing * np.sqrt(3) / 2)
    columns = np.arange(xs.min() - 2 * spacing, xs.max() + 2.5 * spacing, spacing)
    x, y = np.meshgrid(columns, rows)
    x[1::2] += spacing / 2
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    triangles = Delaunay(points).simplices
    far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5).astype(np.float32)
    centres = points[triangles].mean(axis=1)
    near = _sampled(far, centres) < 0.75 * spacing  # more than a triangle's reach, so that none is missed
    kept, inverse = np.unique(triangles[near], return_inverse=True)
    return points[kept], inverse.reshape(-1, 3).astype(np.int32)


class BoneMesh:
    """A mesh and the bones that bend it.

    Args:
        vertices: The mesh at rest, `(num_vertices, 2)` in pixels.
        triangles: Its triangles, `(num_triangles, 3)`.
        bones: The bones that pull it, at least one, outwards from the body.
        rest: The skeleton at rest, `(25, 2)` in pixels.
        widths: The half width of the body around each bone in pixels, `(num_bones,)`.
        ends: How far along each bone its handles reach, `(num_bones,)`, 1 for all of it.

    Attributes:
        points: The vertices as x + iy, `(num_vertices,)`.
        bones: The points of the skeleton that the bones join, `(num_bones, 2)`.
        rest: The ends of the bones at rest as x + iy, `(num_bones, 2)`.
        owner: The bone that each vertex belongs to, `(num_vertices,)`.
        edges: The vertices that each edge joins, `(num_edges, 2)`.
        share: How far along its bone each handle lies, `(num_bones, HANDLES_PER_BONE)`.
        handles: The vertices that each handle holds, `(num_handles, num_vertices)`; rows add up to 1.
    """

    def __init__(
        self,
        vertices: Array,
        triangles: NDArray[np.int32],
        bones: Sequence[Bone],
        rest: Array,
        widths: Sequence[float],
        ends: Sequence[float],
    ) -> None:
        self.points = vertices @ [1, 1j]
        self.bones = np.array([(bone.start, bone.end) for bone in bones])
        self.rest = rest[self.bones] @ [1, 1j]
        self.owner = _nearest_bone(self.points, self.rest, np.asarray(widths))
        # Drawn in this order, a hand lies before the arm that it hangs from.
        outwards = np.argsort(self.owner[triangles].max(axis=1), kind="stable")
        self.vertices, self.triangles = vertices, triangles[outwards]
        self.edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
        self.share = np.tile(np.linspace(0, 1, HANDLES_PER_BONE), (len(bones), 1)) * np.asarray(ends)[:, None]
        self.handles = self._attached(_along(self.rest, self.share).ravel())

    def _attached(self, handles: NDArray[np.complex128]) -> csr_matrix:
        """Return the mean of the three nearest vertices of each handle, `(num_handles, num_vertices)`."""
        gaps = np.abs(handles[:, None] - self.points[None])
        nearest = np.argsort(gaps, axis=1)[:, : min(3, len(self.points))]
        rows = np.repeat(np.arange(len(handles)), nearest.shape[1])
        weights = np.full(len(rows), 1 / nearest.shape[1])
        return coo_matrix((weights, (rows, nearest.ravel())), (len(handles), len(self.points))).tocsr()


class Rig:
    """Meshes that one skeleton bends, solved together: many small systems cost more than one.

    Args:
        meshes: The meshes, at least one, all at rest under the same skeleton.
    """

    def __init__(self, meshes: Sequence[BoneMesh]) -> None:
        counts, num_bones = [len(mesh.points) for mesh in meshes], [len(mesh.bones) for mesh in meshes]
        self._splits = np.cumsum(counts)[:-1]
        self._bones = np.concatenate([mesh.bones for mesh in meshes])
        self._rest = np.concatenate([mesh.rest for mesh in meshes])
        self._points = np.concatenate([mesh.points for mesh in meshes])
        self._share = np.concatenate([mesh.share for mesh in meshes])
        first_bones, first_vertices = np.cumsum([0, *num_bones]), np.cumsum([0, *counts])
        self._owner = np.concatenate([first + mesh.owner for first, mesh in zip(first_bones, meshes, strict=False)])
        edges = np.concatenate([first + mesh.edges for first, mesh in zip(first_vertices, meshes, strict=False)])
        self._tail, self._head = edges.T
        self._edges = self._points[self._head] - self._points[self._tail]
        ones, index = np.ones(len(edges)), np.arange(len(edges))
        shape = len(edges), len(self._points)
        entries = np.r_[ones, -ones], (np.r_[index, index], np.r_[self._head, self._tail])
        # Complex, as what they are multiplied with: SciPy would convert them in each product.
        self._difference = coo_matrix(entries, shape).tocsr().astype(complex)
        self._gather = self._difference.T.tocsr()
        self._sum = abs(self._gather).astype(complex)
        handles = block_diag([mesh.handles for mesh in meshes], format="csr")
        self._pull = PULL * handles.T.tocsr().astype(complex)
        # A rest pose that must not move a pixel: the handles' own places, as the mesh sees them.
        self._offset = handles @ self._points - _along(self._rest, self._share).ravel()
        springs = (self._gather @ self._difference).real
        system = springs + PULL * (handles.T @ handles) + STAY * identity(len(self._points))
        self._solver = splu(csc_matrix(system), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})

    def bend(self, skeleton: Array) -> list[Array]:
        """Return the vertices of each mesh under a skeleton, each `(num_vertices, 2)` in pixels.

        Args:
            skeleton: The points of the skeleton, `(25, 2)` in pixels.
        """
        bones = skeleton[self._bones] @ [1, 1j]
        before, now = self._rest[:, 1] - self._rest[:, 0], bones[:, 1] - bones[:, 0]
        length = np.maximum(np.abs(before), 1e-6)
        axis, stretch = before / length, np.abs(now) / length
        turn = np.where(np.abs(now) > 1e-6, now / np.maximum(np.abs(now), 1e-6) / axis, 1)
        # A bone that points at the camera is short: its edges shrink along it, so that nothing folds.
        edges = (_stretched(self._edges, axis, stretch, self._owner[self._tail])
                 + _stretched(self._edges, axis, stretch, self._owner[self._head])) / 2  # fmt: skip
        wanted = _along(bones, self._share).ravel() + self._offset * np.repeat(turn, HANDLES_PER_BONE)
        offsets = self._points - self._rest[self._owner, 0]
        carried = bones[self._owner, 0] + turn[self._owner] * _stretched(offsets, axis, stretch, self._owner)
        pull = self._pull @ wanted + STAY * carried
        turns = turn[self._owner]
        half, turned_back = edges / 2, np.conj(edges)
        for number in range(NUM_ROUNDS):
            springs = self._gather @ (half * (turns[self._tail] + turns[self._head]))
            points = self._solver.solve((springs + pull).view(float).reshape(-1, 2))
            if number < NUM_ROUNDS - 1:
                moved = points @ [1, 1j]
                fitted = self._sum @ (turned_back * (moved[self._head] - moved[self._tail]))
                turns = fitted / np.maximum(np.abs(fitted), 1e-9)
        return np.split(points, self._splits)


def _stretched(
    edges: NDArray[np.complex128], axis: NDArray[np.complex128], stretch: Array, owner: NDArray[np.intp]
) -> NDArray[np.complex128]:
    """Return the edges, made longer along their bone."""
    along = axis[owner]
    return edges + (stretch[owner] - 1) * along * (np.conj(along) * edges).real


def _along(bones: NDArray[np.complex128], share: Array) -> NDArray[np.complex128]:
    """Return points on bones, `(num_bones, num_shares)`."""
    return bones[:, :1] + share * (bones[:, 1:] - bones[:, :1])


def bone_distance(points: NDArray[np.complex128], start: complex, end: complex) -> Array:
    """Return the distance of each point from a bone, in pixels; points and ends are x + iy."""
    bone = end - start
    share = np.clip(((points - start) * np.conj(bone)).real / max(abs(bone) ** 2, 1e-9), 0, 1)
    return np.abs(points - start - share * bone)


def _nearest_bone(points: NDArray[np.complex128], bones: NDArray[np.complex128], widths: Array) -> NDArray[np.intp]:
    """Return the bone that each point belongs to, by distance in half widths."""
    distances = [bone_distance(points, *ends) / width for ends, width in zip(bones, widths, strict=True)]
    return np.argmin(distances, axis=0)


def _sampled(picture: NDArray[np.floating], places: Array) -> NDArray[np.floating]:
    """Return the picture's values at the nearest pixels, at its edge where they lie outside."""
    x, y = np.round(places).astype(int).T
    outside = np.maximum(np.maximum(-x, x - picture.shape[1] + 1), np.maximum(-y, y - picture.shape[0] + 1))
    inside = picture[np.clip(y, 0, picture.shape[0] - 1), np.clip(x, 0, picture.shape[1] - 1)]
    return inside + np.maximum(outside, 0)
