import torch

from pdesolve.ops.anderson import Anderson


def linear_problem(generator, samples=3, size=6):
    matrix = torch.randn(samples, size, size, dtype=torch.float64, generator=generator)
    matrix = 2.0 * matrix / torch.linalg.matrix_norm(matrix, 2)[:, None, None]
    target = torch.randn(samples, size, dtype=torch.float64, generator=generator)
    return matrix, target


def test_linear_problem_is_solved_in_as_many_steps_as_unknowns(generator):
    # The plain iteration x <- x + f(x) grows here: the matrix has norm two.
    matrix, target = linear_problem(generator)

    def update(x):
        return target - x + (matrix @ x[..., None])[..., 0]

    x, mixing = torch.zeros_like(target), Anderson(8)
    for _ in range(8):
        x = mixing.next(x, update(x))
    assert update(x).abs().max() < 1e-9


def test_without_memory_it_is_the_plain_iteration():
    mixing = Anderson(0)
    x = torch.ones(2, 3)
    for _ in range(3):
        x = mixing.next(x, 0.5 * x)
    assert torch.equal(x, torch.full((2, 3), 1.5**3))


def test_samples_do_not_mix_and_may_leave(generator):
    matrix, target = linear_problem(generator)

    def run(rows, leave_after):
        x, mixing, kept = torch.zeros_like(target)[rows], Anderson(9), torch.tensor(rows)
        for count in range(5):
            f = target[kept] - x + (matrix[kept] @ x[..., None])[..., 0]
            x = mixing.next(x, f)
            if count == leave_after:
                last = torch.tensor([len(kept) - 1])
                mixing.keep(last)
                x, kept = x[last], kept[last]
        return x[-1]

    torch.testing.assert_close(run([0, 1, 2], 2), run([2], 99), rtol=0, atol=1e-11)


def test_repeated_iterates_do_no_harm():
    x, mixing = torch.ones(1, 4, dtype=torch.float64), Anderson(5)
    zero = torch.zeros_like(x)
    for _ in range(4):
        x = mixing.next(x, zero)
    assert torch.equal(x, torch.ones_like(x))
