.PHONY: check slow site peers bench-impute bench-generate bench-detect bench-embed bench-contract plots

check:
	ruff check .
	ruff format --check .
	mypy
	pytest

slow:
	pytest -m slow

site:
	python docs/write_cli.py
	mkdocs build --strict

peers:
	for name in sklearn hyperimpute ctgan; do \
		python -m venv .peers/$$name && \
		.peers/$$name/bin/pip install --quiet "torch>=2.6,<2.14" && \
		.peers/$$name/bin/pip install --quiet -r benchmarks/requirements-$$name.txt || exit 1; \
	done

bench-impute:
	python benchmarks/impute.py

bench-generate:
	python benchmarks/generate.py

bench-detect:
	python benchmarks/detect.py

bench-embed:
	python benchmarks/embed.py

plots:
	python benchmarks/plots.py

bench-contract:
	python benchmarks/contract.py
