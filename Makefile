.PHONY: check slow bench-impute bench-generate bench-detect bench-embed bench-contract

check:
	ruff check .
	ruff format --check .
	mypy
	pytest

slow:
	pytest -m slow

bench-impute:
	python benchmarks/impute.py

bench-generate:
	python benchmarks/generate.py

bench-detect:
	python benchmarks/detect.py

bench-embed:
	python benchmarks/embed.py

bench-contract:
	python benchmarks/contract.py
